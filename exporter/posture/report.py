"""The security posture as a document: what was looked at, what was found, what could not be."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from exporter.posture import rbac
from exporter.posture.pods import Survey
from exporter.posture.reading import Certificate
from exporter.posture.scanners import SEVERITIES, Scan
from exporter.watch.listing import Kept


class Status(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FOUND = "found"
    NOT_EXAMINED = "not examined"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    area: str
    title: str
    status: Status
    summary: str
    """What was counted, or why it was not examined."""
    details: tuple[str, ...] = ()
    """Each finding on a line."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ages beyond which something is a finding."""

    secret_age: timedelta
    image_age: timedelta
    certificate_left: timedelta


@dataclass(frozen=True, slots=True)
class Document:
    """A report: of which cluster, when, by which version of the exporter."""

    cluster: str
    at: datetime
    version: str
    checks: Sequence[Check]

    def as_json(self) -> dict[str, object]:
        """Return the document as plain values, `schema` 1."""
        return {
            "schema": 1,
            "kind": "compliance",
            "cluster": self.cluster,
            "at": self.at.isoformat(timespec="seconds"),
            "version": self.version,
            "checks": [asdict(check) for check in self.checks],
        }

    def as_markdown(self) -> str:
        """Return the document for people: an overview, then the findings by check."""
        counts = Counter(check.status for check in self.checks)
        lines = [
            f"# Security posture of {self.cluster}",
            "",
            f"{self.at:%Y-%m-%d %H:%M} UTC, kpi-exporter {self.version}: "
            + ", ".join(f"{counts[status]} {status}" for status in Status)
            + ".",
            "",
            "| area | check | status | summary |",
            "|---|---|---|---|",
            *(
                f"| {check.area} | {check.title} | {check.status} | {_cell(check.summary)} |"
                for check in self.checks
            ),
        ]
        for check in self.checks:
            if check.details:
                lines += ["", f"## {check.area}: {check.title}", ""]
                lines += [f"- {_cell(detail)}" for detail in check.details]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Keep what Kubernetes allows in a name from ending a cell or a line."""
    return text.replace("|", "\\|").replace("\n", " ")


def judged(area: str, title: str, details: Iterable[str], summary: str) -> Check:
    """Return a check that passed when there are no details."""
    found = tuple(sorted(details))
    return Check(area, title, Status.FOUND if found else Status.PASSED, summary, found)


def not_examined(area: str, title: str, reason: str) -> Check:
    """Return a check that could not be made, or was not asked for."""
    return Check(area, title, Status.NOT_EXAMINED, reason)


def of_rights(found: rbac.Rbac) -> Iterator[Check]:
    """Look at who may do everything, and at roles that are too wide."""
    bindings = len(found.cluster_role_bindings) + len(found.role_bindings)
    holders = [one for one in rbac.admins(found) if one.name != "system:masters"]
    yield judged(
        "access",
        "may do everything",
        (
            f"{one.kind} {one.namespace}/{one.name}" if one.namespace else f"{one.kind} {one.name}"
            for one in holders
        ),
        f"{len(holders)} beside system:masters, through {bindings} bindings in all",
    )
    wide = rbac.wide_roles(found)
    yield judged(
        "access",
        "roles for every verb or resource",
        (rbac.role_name(role) for role in wide),
        f"{len(wide)}, Kubernetes' own left out",
    )


TITLES = {
    "default_service_account": "pods with the token of the default service account",
    "host_ipc": "pods in their node's IPC namespace",
    "host_network": "pods in their node's network",
    "host_path": "pods with a folder of their node",
    "host_pid": "pods among their node's processes",
    "latest_image": "pods with an image that may change under its name",
    "may_run_as_root": "pods that may run as root",
    "no_cpu_limit": "pods without a limit for CPU",
    "no_cpu_request": "pods without a request for CPU",
    "no_memory_limit": "pods without a limit for memory",
    "no_security_context": "pods without any security context",
    "privileged": "privileged pods",
}


def of_pods(found: Survey, now: datetime, limits: Limits) -> Iterator[Check]:
    """Look at what pods may do, and at the age of their images."""
    for finding, title in TITLES.items():
        shown = {key[:3]: count for key, count in found.by_workload.items() if key[3] == finding}
        details = (f"{_workload(key)}: {count}" for key, count in shown.items())
        yield judged("pods", title, details, f"{sum(shown.values())} of {found.pods} pods")
    old = [
        f"{used.namespace}/{used.workload or '-'} {used.image}: since {started:%Y-%m-%d} at least"
        for used, running in found.images.items()
        if (started := running.oldest) is not None and now - started > limits.image_age
    ]
    title = f"images that have run for more than {limits.image_age.days} days"
    yield judged("images", title, old, f"{len(old)}; an image is at least as old as its oldest pod")


def of_policies(found: dict[str, int]) -> Check:
    """Look for namespaces where everything may speak to everything."""
    bare = [name for name, count in found.items() if not count]
    title = "namespaces without a network policy"
    return judged("network", title, bare, f"{len(bare)} of {len(found)} namespaces")


def of_secrets(found: Sequence[Kept], now: datetime, limits: Limits) -> Check:
    """Look for secrets that nobody has renewed for long."""
    old = [
        f"{one.namespace}/{one.name}: {(now - changed).days} days"
        for one in found
        if (changed := one.data_changed) is not None and now - changed > limits.secret_age
    ]
    title = f"secrets unchanged for more than {limits.secret_age.days} days"
    return judged("secrets", title, old, f"{len(old)} of {len(found)} secrets")


def of_certificates(found: Sequence[Certificate], now: datetime, limits: Limits) -> Check:
    """Look for certificates that expire soon, have expired or cannot be read."""
    near = [
        f"{one.namespace}/{one.secret}: "
        + ("cannot be read" if one.expires is None else f"expires {one.expires:%Y-%m-%d}")
        for one in found
        if one.expires is None or one.expires - now < limits.certificate_left
    ]
    title = f"certificates that expire within {limits.certificate_left.days} days"
    return judged("certificates", title, near, f"{len(near)} of {len(found)} TLS secrets")


def of_own_certificate(expires: datetime, now: datetime, limits: Limits) -> Check:
    """Look at the certificate that the API server shows."""
    near = [f"expires {expires:%Y-%m-%d}"] if expires - now < limits.certificate_left else []
    title = f"the API server's own, to hold for {limits.certificate_left.days} days"
    return judged("certificates", title, near, f"expires {expires:%Y-%m-%d}")


def of_scans(found: Sequence[Scan]) -> Check:
    """Look at images with grave findings."""
    grave = [
        f"{scan.image}: " + ", ".join(f"{scan.counts.get(s, 0)} {s}" for s in SEVERITIES[:2])
        for scan in found
        if any(scan.counts.get(severity) for severity in SEVERITIES[:2])
    ]
    title = "images with critical or high findings"
    return judged("images", title, grave, f"{len(grave)} of {len(found)} images scanned")


def _workload(labels: tuple[str, ...]) -> str:
    namespace, name, kind = labels
    return f"{namespace}/{kind}/{name}" if name else f"{namespace}, pods of no workload"
