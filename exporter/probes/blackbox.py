"""An answer of /probe, under the names that blackbox_exporter gave these metrics; pure.

Two things differ from it. What is not known is absent, where blackbox_exporter writes 0: a status
of nobody, an expiry of no certificate. And `probe_ssl_earliest_cert_expiry` is that of the server's
own certificate, the only one of the chain that Python's ssl shows.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from exporter.probe_port import Exchange, Failure, Phase
from exporter.probes.judge import Verdict

TLS_NAMES = {"TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}
"""Go's spelling, which blackbox_exporter shows, by OpenSSL's."""


def page(verdict: Verdict, exchange: Exchange) -> str:
    """Return the page of metrics of one probe."""
    return generate_latest(_Page(verdict, exchange)).decode()


class _Page(Collector):
    def __init__(self, verdict: Verdict, exchange: Exchange) -> None:
        self._verdict = verdict
        self._exchange = exchange

    @override
    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield _one("probe_success", "Whether the probe was a success.", float(self._verdict.good))
        yield _one("probe_duration_seconds", "Time the probe took.", self._exchange.seconds)
        if self._verdict.failure is not None:
            yield _labelled("probe_failure_reason", "Why it was none.", "reason", self._failure())
        yield from _timing(self._exchange)
        yield from _connection(self._exchange)
        yield from _answer(self._verdict, self._exchange)

    def _failure(self) -> dict[str, float]:
        return {str(self._verdict.failure): 1.0}


def _timing(exchange: Exchange) -> Iterator[GaugeMetricFamily]:
    phases = exchange.phases
    if Phase.RESOLVE in phases:
        yield _one(
            "probe_dns_lookup_time_seconds",
            "Time the name's resolution took.",
            phases[Phase.RESOLVE],
        )
    if phases:
        yield _labelled(
            "probe_http_duration_seconds",
            "Time each phase took, summed over all redirects.",
            "phase",
            {str(phase): seconds for phase, seconds in phases.items()},
        )


def _connection(exchange: Exchange) -> Iterator[GaugeMetricFamily]:
    if exchange.address is not None:
        version = 6.0 if ":" in exchange.address else 4.0
        yield _one("probe_ip_protocol", "IP version of the last connection.", version)
    tls = exchange.tls
    if tls is None:
        return
    yield _one("probe_tls_verified", "Whether the certificate was verified.", float(tls.verified))
    if tls.version:
        version_name = TLS_NAMES.get(tls.version, tls.version)
        yield _labelled("probe_tls_version_info", "TLS version.", "version", {version_name: 1.0})
    if tls.expires is not None:
        yield _one(
            "probe_ssl_earliest_cert_expiry",
            "When the server's own certificate ends, in Unix time.",
            tls.expires.timestamp(),
        )


def _answer(verdict: Verdict, exchange: Exchange) -> Iterator[GaugeMetricFamily]:
    yield _one("probe_http_redirects", "Redirects followed.", float(exchange.redirects))
    if exchange.status is None:
        return
    yield _one("probe_http_status_code", "Status of the answer.", float(exchange.status))
    yield _one("probe_http_ssl", "Whether the last hop had TLS.", float(exchange.tls is not None))
    yield _one("probe_http_version", "HTTP version.", float(exchange.version or "nan"))
    length = exchange.headers.get("Content-Length", "")
    if length.isdecimal():
        yield _one("probe_http_content_length", "Length the answer states.", float(length))
    yield _one(
        "probe_http_uncompressed_body_length", "Bytes that were read.", float(len(exchange.body))
    )
    failed = verdict.failure is Failure.BODY
    yield _one("probe_failed_due_to_regex", "Whether the body failed it.", float(failed))


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
