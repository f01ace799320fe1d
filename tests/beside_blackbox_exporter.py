"""What our page of a probe and blackbox_exporter's say of the same answer, side by side.

They differ by design where nothing is known: we leave out what blackbox_exporter tells as 0 (a
status of nobody, a phase that was not gone through). Neither do we tell all that it does.
"""

from collections.abc import Mapping

from tests.bed.peers import Series

OURS_ALONE = {"probe_failure_reason", "probe_tls_verified"}
THEIRS_ALONE = {
    "probe_ip_addr_hash",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
}
TIMES = {
    "probe_dns_lookup_time_seconds",
    "probe_duration_seconds",
    "probe_http_duration_seconds",
}
"""Each has its own: they are only known or unknown, which theirs tell as 0."""


def differences(ours: Mapping[Series, float], theirs: Mapping[Series, float]) -> list[str]:
    """Return what one says and not the other, times apart."""
    found = []
    for key in sorted(ours.keys() | theirs.keys(), key=str):
        name, labels = key
        mine, other = ours.get(key), theirs.get(key)
        if name in OURS_ALONE | THEIRS_ALONE or (mine is None and other == 0):
            continue
        if name in TIMES and mine is not None and other:
            continue
        if mine != other:
            found.append(f"{name}{dict(labels)}: ours {mine}, theirs {other}")
    return found
