"""What vulnerability scanners reported: Trivy's JSON files, and the trivy-operator's objects."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from exporter.shared.errors import PermanentError
from exporter.watch.objects import NO_META, Meta, View

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
REPORTS = "/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports"
REPORTS_A_PAGE = 10
"""A report holds every finding in full, some hundred kilobytes."""


class Scan(NamedTuple):
    """The newest report about one image."""

    scanner: str
    image: str
    at: datetime | None
    counts: Mapping[str, int]
    """Findings by severity, of SEVERITIES."""
    created: datetime | None = None
    """When the image was built, where the report tells."""
    digests: frozenset[str] = frozenset()
    """By which (`sha256:…`) the image is known."""


class Vulnerability(msgspec.Struct, frozen=True, rename="pascal"):
    """One finding."""

    severity: str = "UNKNOWN"


class Result(msgspec.Struct, frozen=True, rename="pascal"):
    """The findings in one part of an image."""

    vulnerabilities: list[Vulnerability] | None = None


class ImageConfig(msgspec.Struct, frozen=True):
    """The image's own configuration, which is in lower case."""

    created: datetime | None = None


class TrivyMetadata(msgspec.Struct, frozen=True, rename="pascal"):
    """What the report says of the image itself."""

    repo_digests: list[str] | None = None
    image_config: ImageConfig | None = None


class TrivyReport(msgspec.Struct, frozen=True, rename="pascal"):
    """What `trivy image --format json` writes; SchemaVersion 2."""

    schema_version: int
    artifact_name: str
    created_at: datetime | None = None
    metadata: TrivyMetadata = TrivyMetadata()
    results: list[Result] | None = None


class Artifact(View, frozen=True):
    """The image of a VulnerabilityReport."""

    repository: str = ""
    tag: str = ""
    digest: str = ""


class Registry(View, frozen=True):
    """Where it comes from."""

    server: str = ""


class Summary(View, frozen=True):
    """Findings, counted."""

    critical_count: int | None = None
    high_count: int | None = None
    medium_count: int | None = None
    low_count: int | None = None
    unknown_count: int | None = None


class Report(View, frozen=True):
    """The body of a VulnerabilityReport."""

    artifact: Artifact = Artifact()
    registry: Registry = Registry()
    summary: Summary = Summary()
    update_timestamp: datetime | None = None


class VulnerabilityReport(View, frozen=True):
    """The trivy-operator's report about one container of one workload."""

    metadata: Meta = NO_META
    report: Report = Report()


def of_file(body: bytes) -> Scan:
    """Read a file of Trivy's. Raises ValueError when it is none."""
    try:
        report = msgspec.json.decode(body, type=TrivyReport)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a report of Trivy's: {error}") from error
    found = Counter(
        finding.severity if finding.severity in SEVERITIES else "UNKNOWN"
        for result in report.results or ()
        for finding in result.vulnerabilities or ()
    )
    config = report.metadata.image_config
    return Scan(
        "trivy",
        report.artifact_name,
        report.created_at,
        {severity: found[severity] for severity in SEVERITIES},
        None if config is None else config.created,
        frozenset(each.rpartition("@")[2] for each in report.metadata.repo_digests or ()),
    )


def of_object(found: VulnerabilityReport) -> Scan:
    """Read an object of the trivy-operator's."""
    report = found.report
    artifact, summary = report.artifact, report.summary
    name = "/".join(part for part in (report.registry.server, artifact.repository) if part)
    image = f"{name}:{artifact.tag}" if artifact.tag else name
    counts = (
        summary.critical_count,
        summary.high_count,
        summary.medium_count,
        summary.low_count,
        summary.unknown_count,
    )
    return Scan(
        "trivy-operator",
        image,
        report.update_timestamp or found.metadata.creation_timestamp,
        {s: count for s, count in zip(SEVERITIES, counts, strict=True) if count is not None},
        digests=frozenset({artifact.digest} - {""}),
    )


def newest(scans: Iterable[Scan]) -> list[Scan]:
    """Keep the newest scan of each image by each scanner; one without a time is the oldest."""
    kept: dict[tuple[str, str], Scan] = {}
    for scan in scans:
        before = kept.get((scan.scanner, scan.image))
        if before is None or before.at is None or (scan.at is not None and scan.at > before.at):
            kept[scan.scanner, scan.image] = scan
    return [kept[key] for key in sorted(kept)]


def read_folder(folder: Path, *, most: int, max_bytes: int) -> tuple[list[Scan], int]:
    """Read the JSON files in `folder` and below; return their scans, and how many are unreadable.

    One that is larger than `max_bytes` is not read. Raises PermanentError when there are more than
    `most`, or the folder cannot be read.
    """
    try:
        folder.stat()  # one that is not there has no files either, but is a mistake
        found = sorted(path for path in folder.rglob("*.json") if _is_shown(path, folder))
    except OSError as error:
        raise PermanentError(f"{folder} cannot be read: {error.strerror}") from error
    if len(found) > most:
        raise PermanentError(f"{folder} holds more than {most} reports (max_reports)")
    scans: list[Scan] = []
    for path in found:
        try:
            if path.stat().st_size <= max_bytes:
                scans.append(of_file(path.read_bytes()))
        except (OSError, ValueError):
            continue
    return scans, len(found) - len(scans)


def _is_shown(path: Path, folder: Path) -> bool:
    """Say whether it is a file to be read: a mounted ConfigMap has each once more in `..data`."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.is_file()


def created(scans: Iterable[Scan]) -> Mapping[str, datetime]:
    """Return when images were built, by their names and by their digests."""
    return {
        key: scan.created
        for scan in scans
        if scan.created is not None
        for key in (scan.image, *scan.digests)
    }
