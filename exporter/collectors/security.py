"""How well the cluster is kept: rights, pods, networks, secrets, certificates, images, findings.

Only certificates need the content of Secrets, so they are off unless asked for. Ages of Secrets
need the permission to list Secrets, though only their metadata are: RBAC knows no part of an
object.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import Field

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Sample
from exporter.ports import Clients
from exporter.posture import pods, rbac, reading, scanners
from exporter.posture.certificates import not_after
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError
from exporter.watch.listing import Kept

WORKLOAD = ("namespace", "workload", "workload_type")
CONTAINER = (*WORKLOAD, "container")

CLUSTER_BINDINGS = Metric(
    "kpi_rbac_cluster_role_bindings", "ClusterRoleBindings, Kubernetes' own among them."
)
BINDINGS = Metric("kpi_rbac_role_bindings", "RoleBindings of the namespace.", labels=("namespace",))
ADMINS = Metric(
    "kpi_rbac_cluster_admins", "Users, groups and service accounts that may do everything."
)
ADMIN = Metric(
    "kpi_rbac_cluster_admin_info",
    "Who may do everything; the first hundred.",
    labels=("subject_kind", "subject_namespace", "subject"),
)
WIDE = Metric(
    "kpi_rbac_wildcard_roles",
    "Roles with a rule for every verb or for every resource, Kubernetes' own left out; without a "
    "namespace: ClusterRoles.",
    labels=("namespace",),
)
PODS = Metric(
    "kpi_security_pods",
    "Pods of the namespace of which this is found.",
    labels=("namespace", "finding"),
)
WORKLOADS = Metric(
    "kpi_security_workload_pods",
    "Pods of the workload of which this is found; none where it is found of none.",
    labels=(*WORKLOAD, "finding"),
)
POLICIES = Metric(
    "kpi_namespace_network_policies", "Network policies of the namespace.", labels=("namespace",)
)
SECRETS = Metric(
    "kpi_secrets",
    "Secrets of the namespace that somebody has to renew: no Helm release, no token of an account.",
    labels=("namespace",),
)
OLDEST_SECRET = Metric(
    "kpi_secret_oldest_change_timestamp_seconds",
    "When the data of the secret of kpi_secrets that was left alone for longest was last written.",
    labels=("namespace",),
)
CERTIFICATE = Metric(
    "kpi_certificate_expiry_timestamp_seconds",
    "When the certificate in the TLS Secret expires.",
    labels=("namespace", "secret"),
)
UNREADABLE_CERTIFICATES = Metric(
    "kpi_certificates_unreadable", "TLS Secrets without a certificate that can be read."
)
APISERVER_CERTIFICATE = Metric(
    "kpi_apiserver_certificate_expiry_timestamp_seconds",
    "When the certificate that the API server shows expires.",
)
IMAGE = Metric(
    "kpi_workload_image_info",
    "Image that the workload's container runs.",
    labels=(*CONTAINER, "image"),
)
IMAGE_TIME = Metric(
    "kpi_workload_image_timestamp_seconds",
    "When the container's oldest image was built (basis created, as a scanner's report tells), or "
    "else when the oldest pod with it was created (basis pod_start): it is at least that old.",
    labels=(*CONTAINER, "basis"),
)
FINDINGS = Metric(
    "kpi_image_vulnerabilities",
    "Findings in the image, by severity, in the scanner's newest report.",
    labels=("scanner", "image", "severity"),
)
SCANNED = Metric(
    "kpi_image_scan_timestamp_seconds",
    "When the scanner's newest report about the image was made.",
    labels=("scanner", "image"),
)
UNREADABLE_REPORTS = Metric(
    "kpi_scan_reports_unreadable", "Files in the folder of reports that are none, or too large."
)

MOST_ADMINS = 100
"""Holders of cluster-admin with a series of their own."""


class Settings(Section):
    """What is looked at; each part is a source of its own."""

    interval: Duration = timedelta(minutes=5)
    """Time between two passes of each part."""
    timeout: Duration = timedelta(minutes=1)
    """Time that a pass of one part may take."""
    secrets: bool = True
    """Whether the age of Secrets is looked at; needs to list Secrets, reads their metadata."""
    certificates: bool = False
    """Whether certificates in Secrets are looked at; reads TLS Secrets, keys included."""
    vulnerability_reports: bool = False
    """Whether the trivy-operator's VulnerabilityReports are read."""
    reports: Path | None = None
    """A folder with Trivy's JSON reports (`trivy image --format json`)."""
    max_reports: int = Field(default=1000, ge=1)
    """Most reports in the folder."""
    max_report_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    """Largest report that is read."""


def rbac_samples(found: rbac.Rbac) -> Iterator[Sample]:
    """Describe rights."""
    yield Sample(CLUSTER_BINDINGS, (), len(found.cluster_role_bindings))
    for namespace, count in sorted(rbac.bindings_by_namespace(found).items()):
        yield Sample(BINDINGS, (namespace,), count)
    admins = rbac.admins(found)
    yield Sample(ADMINS, (), len(admins))
    for holder in admins[:MOST_ADMINS]:
        yield Sample(ADMIN, tuple(holder), 1.0)
    wide = Counter(role.metadata.namespace for role in rbac.wide_roles(found))
    for namespace, count in sorted({"": 0, **wide}.items()):
        yield Sample(WIDE, (namespace,), count)


def pod_samples(found: pods.Survey, created: Mapping[str, datetime]) -> Iterator[Sample]:
    """Describe pods and their images; `created` tells when images were built."""
    for labels, count in sorted(found.by_namespace.items()):
        yield Sample(PODS, labels, count)
    for finding, count in sorted(found.by_workload.items()):
        yield Sample(WORKLOADS, finding, count)
    ages: dict[tuple[str, ...], list[tuple[datetime, str]]] = {}
    for used, running in sorted(found.images.items(), key=lambda each: each[0]):
        yield Sample(IMAGE, tuple(used), 1.0)
        if (age := _age(used.image, running, created)) is not None:
            ages.setdefault(tuple(used[:-1]), []).append(age)
    for container, known in ages.items():
        time, basis = min(known)
        yield Sample(IMAGE_TIME, (*container, basis), time.timestamp())


def _age(
    image: str, running: pods.Running, created: Mapping[str, datetime]
) -> tuple[datetime, str] | None:
    """Return since when an image exists at least, and how that is known."""
    built = [created[name] for name in (image, *running.digests) if name in created]
    if built:
        return min(built), "created"
    return None if running.oldest is None else (running.oldest, "pod_start")


def secret_samples(found: Iterable[Kept]) -> Iterator[Sample]:
    """Describe the secrets of each namespace."""
    times: dict[str, list[datetime]] = {}
    counts: Counter[str] = Counter()
    for secret in found:
        counts[secret.namespace] += 1
        if secret.data_changed is not None:
            times.setdefault(secret.namespace, []).append(secret.data_changed)
    for namespace, count in sorted(counts.items()):
        yield Sample(SECRETS, (namespace,), count)
    for namespace, known in sorted(times.items()):
        yield Sample(OLDEST_SECRET, (namespace,), min(known).timestamp())


def certificate_samples(found: Iterable[reading.Certificate]) -> Iterator[Sample]:
    """Describe certificates."""
    unreadable = 0
    for namespace, secret, expires in sorted(found, key=lambda each: each[:2]):
        if expires is None:
            unreadable += 1
        else:
            yield Sample(CERTIFICATE, (namespace, secret), expires.timestamp())
    yield Sample(UNREADABLE_CERTIFICATES, (), unreadable)


def scan_samples(found: Iterable[scanners.Scan]) -> Iterator[Sample]:
    """Describe what scanners found."""
    for scan in found:
        labels = (scan.scanner, scan.image)
        for severity, count in scan.counts.items():
            yield Sample(FINDINGS, (*labels, severity), count)
        if scan.at is not None:
            yield Sample(SCANNED, labels, scan.at.timestamp())


class Parts:
    """What each source of the collector does."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._settings = settings
        self._kube = clients.kube
        self._created: Mapping[str, datetime] = {}

    def sources(self) -> Iterator[tuple[str, Callable[[], Awaitable[Iterable[Sample]]]]]:
        """Yield the name of each part that is to be looked at, and how it is."""
        yield "rbac", self.rbac
        yield "pods", self.pods
        yield "network-policies", self.policies
        yield "apiserver-certificate", self.apiserver_certificate
        if self._settings.secrets:
            yield "secrets", self.secrets
        if self._settings.certificates:
            yield "certificates", self.certificates
        if self._settings.vulnerability_reports:
            yield "vulnerability-reports", self.vulnerability_reports
        if self._settings.reports is not None:
            yield "reports", partial(self.reports, self._settings.reports)

    async def rbac(self) -> Iterable[Sample]:
        """Look at roles and bindings."""
        return rbac_samples(await reading.rbac(self._kube))

    async def pods(self) -> Iterable[Sample]:
        """Look at pods and their images."""
        return pod_samples(await reading.pods(self._kube), self._created)

    async def policies(self) -> Iterable[Sample]:
        """Count network policies."""
        found = await reading.policies(self._kube)
        return [Sample(POLICIES, (name,), count) for name, count in sorted(found.items())]

    async def secrets(self) -> Iterable[Sample]:
        """Look at the ages of Secrets."""
        return secret_samples(await reading.secrets(self._kube))

    async def certificates(self) -> Iterable[Sample]:
        """Look at certificates in Secrets."""
        return certificate_samples(await reading.certificates(self._kube))

    async def apiserver_certificate(self) -> Iterable[Sample]:
        """Look at the API server's own certificate. Raises PermanentError when it is none."""
        shown = await self._kube.certificate()
        if shown is None:
            return ()
        try:
            return [Sample(APISERVER_CERTIFICATE, (), not_after(shown).timestamp())]
        except ValueError as error:
            raise PermanentError(f"what the API server shows is no certificate: {error}") from error

    async def vulnerability_reports(self) -> Iterable[Sample]:
        """Read the trivy-operator's objects."""
        return scan_samples(await reading.reports(self._kube))

    async def reports(self, folder: Path) -> Iterable[Sample]:
        """Read the folder of Trivy's files, in a thread: they are large."""
        settings = self._settings
        scans, unreadable = await asyncio.to_thread(
            scanners.read_folder,
            folder,
            most=settings.max_reports,
            max_bytes=settings.max_report_bytes,
        )
        found = scanners.newest(scans)
        self._created = scanners.created(found)
        return [*scan_samples(found), Sample(UNREADABLE_REPORTS, (), unreadable)]


def _sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    def source(name: str, look: Callable[[], Awaitable[Iterable[Sample]]]) -> PolledSource:
        async def collect() -> Collected:
            return Collected(list(await look()))

        return PolledSource(name, settings.interval, settings.timeout, collect)

    return [source(name, look) for name, look in Parts(settings, clients).sources()]


SPEC = CollectorSpec(
    name="security",
    help="Rights, pods' privileges, network policies, secrets, certificates, images and findings.",
    settings=Settings,
    metrics=(
        *(CLUSTER_BINDINGS, BINDINGS, ADMINS, ADMIN, WIDE),
        *(PODS, WORKLOADS, POLICIES, SECRETS, OLDEST_SECRET),
        *(CERTIFICATE, UNREADABLE_CERTIFICATES, APISERVER_CERTIFICATE),
        *(IMAGE, IMAGE_TIME, FINDINGS, SCANNED, UNREADABLE_REPORTS),
    ),
    sources=_sources,
    reads_kubernetes=True,
    permissions=(
        "core/pods:list",
        "core/namespaces:list",
        "core/secrets:list",
        "networking.k8s.io/networkpolicies:list",
        "rbac.authorization.k8s.io/clusterroles:list",
        "rbac.authorization.k8s.io/roles:list",
        "rbac.authorization.k8s.io/clusterrolebindings:list",
        "rbac.authorization.k8s.io/rolebindings:list",
        "aquasecurity.github.io/vulnerabilityreports:list",
    ),
)
