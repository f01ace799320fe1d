"""Helm releases, as the labels of their storage tell them; what is in a release is not read.

Helm keeps every revision of a release in a Secret (or a ConfigMap) of the release's namespace,
named `sh.helm.release.v1.<release>.v<revision>` and labelled `owner=helm`, `name`, `version` (the
revision) and `status`. Its label `modifiedAt` is of no use: Helm 4.3 hands on the one of the
revision before. Listing metadata needs the permission to list Secrets all the same: RBAC knows no
part of an object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from exporter.contract import (
    Collected,
    CollectorSpec,
    Metric,
    PolledSource,
    Sample,
    bounded,
)
from exporter.ports import Clients
from exporter.shared.config import Duration, Section
from exporter.watch.listing import Kept, every_metadata
from exporter.watch.objects import Meta

RELEASE = ("namespace", "release")

STATUS = Metric(
    "kpi_helm_release_status",
    "1 for the status of the release's newest revision; other statuses have no series.",
    labels=(*RELEASE, "status"),
)
REVISION = Metric("kpi_helm_release_revision", "Newest revision of the release.", labels=RELEASE)
DEPLOYED = Metric(
    "kpi_helm_release_deployed_revision",
    "Newest revision of the release that is deployed; none where no revision is.",
    labels=RELEASE,
)
UPDATED = Metric(
    "kpi_helm_release_updated_timestamp_seconds",
    "When the newest revision of the release last changed its status.",
    labels=RELEASE,
)
PENDING = Metric(
    "kpi_helm_release_pending_seconds",
    "Time for which an install, upgrade or rollback of the release has been under way, or stuck; "
    "none when there is none.",
    labels=RELEASE,
)
CHART = Metric(
    "kpi_helm_release_chart_info",
    "Charts that the workloads of the release say they come from.",
    labels=(*RELEASE, "chart", "chart_version"),
)
UNREADABLE = Metric(
    "kpi_helm_revisions_unreadable",
    "Stored revisions whose labels and name do not tell a release; they are left out.",
)

STATUSES = frozenset(
    {
        "unknown",
        "deployed",
        "uninstalled",
        "superseded",
        "failed",
        "uninstalling",
        "pending-install",
        "pending-upgrade",
        "pending-rollback",
    }
)
"""All that Helm 3 and 4 write."""

WORKLOADS = ("deployments", "statefulsets", "daemonsets")
NAME = re.compile(r"sh\.helm\.release\.v1\.(?P<name>.+)\.v(?P<version>\d+)")
CHART_LABEL = re.compile(r"(?P<chart>.+?)-(?P<version>v?\d+\.\d+.*)")
"""`helm.sh/chart` as `helm create` writes it: chart and version, joined."""


class Settings(Section):
    """How releases are read."""

    storage: Literal["secrets", "configmaps"] = "secrets"
    """Where Helm keeps releases (`HELM_DRIVER`)."""
    interval: Duration = timedelta(minutes=1)
    """Time between two passes."""
    timeout: Duration = timedelta(seconds=30)
    """Time that a pass may take."""


class Revision(NamedTuple):
    """One stored revision of a release."""

    namespace: str
    release: str
    number: int
    status: str
    changed: datetime | None


def revision(meta: Kept) -> Revision | None:
    """Read a stored revision from its labels, or from its name; None when neither tells."""
    labels = meta.labels or {}
    name, version = labels.get("name", ""), labels.get("version", "")
    if not name or not version.isdecimal():
        found = NAME.fullmatch(meta.name)
        if found is None:
            return None
        name, version = found["name"], found["version"]
    status = labels.get("status", "unknown")
    return Revision(
        meta.namespace, name, int(version), bounded(status, STATUSES), meta.data_changed
    )


def releases(stored: Iterable[Kept], now: datetime) -> Iterator[Sample]:
    """Describe every release by its newest revision."""
    histories: dict[tuple[str, str], list[Revision]] = {}
    unreadable = 0
    for meta in stored:
        found = revision(meta)
        if found is None:
            unreadable += 1
        else:
            histories.setdefault((found.namespace, found.release), []).append(found)
    for labels, history in sorted(histories.items()):
        yield from _release(labels, history, now)
    yield Sample(UNREADABLE, (), unreadable)


def _release(
    labels: tuple[str, str], history: Sequence[Revision], now: datetime
) -> Iterator[Sample]:
    newest = max(history, key=lambda each: each.number)
    deployed = [each.number for each in history if each.status == "deployed"]
    yield Sample(STATUS, (*labels, newest.status), 1.0)
    yield Sample(REVISION, labels, newest.number)
    if deployed:
        yield Sample(DEPLOYED, labels, max(deployed))
    if newest.changed is not None:
        yield Sample(UPDATED, labels, newest.changed.timestamp())
        if newest.status.startswith("pending-"):
            pending = (now - newest.changed).total_seconds()
            yield Sample(PENDING, labels, max(0.0, pending))


def charts(workloads: Iterable[Meta]) -> list[Sample]:
    """Describe which charts the workloads of each release come from; those that say so."""
    found = {key for meta in workloads if (key := _chart(meta)) is not None}
    return [Sample(CHART, labels, 1.0) for labels in sorted(found)]


def _chart(meta: Meta) -> tuple[str, str, str, str] | None:
    labels = meta.labels or {}
    release = meta.annotation("meta.helm.sh/release-name")
    chart = CHART_LABEL.fullmatch(labels.get("helm.sh/chart", ""))
    if not release or chart is None:
        return None
    # A label cannot hold the + of a semantic version; charts write _ for it.
    version = chart["version"].replace("_", "+")
    namespace = meta.annotation("meta.helm.sh/release-namespace") or meta.namespace
    return namespace, release, chart["chart"], version


def _sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    owned: Mapping[str, str] = {"labelSelector": "owner=helm"}

    async def read_releases() -> Collected:
        stored = await every_metadata(clients.kube, f"/api/v1/{settings.storage}", Kept, owned)
        return Collected(list(releases(stored, clients.clock.now())))

    async def read_charts() -> Collected:
        found: list[Meta] = []
        for kind in WORKLOADS:
            found += await every_metadata(clients.kube, f"/apis/apps/v1/{kind}", Meta)
        return Collected(charts(found))

    return (
        PolledSource("releases", settings.interval, settings.timeout, read_releases),
        PolledSource("charts", settings.interval, settings.timeout, read_charts),
    )


SPEC = CollectorSpec(
    name="helm",
    help="Releases of Helm: their status, revision, age and chart.",
    settings=Settings,
    metrics=(STATUS, REVISION, DEPLOYED, UPDATED, PENDING, CHART, UNREADABLE),
    sources=_sources,
    reads_kubernetes=True,
    permissions=(
        "core/secrets:list",
        "core/configmaps:list",
        "apps/deployments:list",
        "apps/statefulsets:list",
        "apps/daemonsets:list",
    ),
)
