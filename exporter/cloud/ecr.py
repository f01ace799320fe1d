"""ECR: what its scanner found in the newest images of a repository."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from exporter.aws_port import Aws
from exporter.cloud.answers import Camel, read
from exporter.contract import Metric, Sample, bounded
from exporter.shared.errors import NotFoundError, PermanentError

IMAGE = ("repository", "tag")

PUSHED = Metric(
    "kpi_ecr_image_pushed_timestamp_seconds", "When the image was pushed.", labels=IMAGE
)
FINDINGS = Metric(
    "kpi_ecr_image_findings",
    "Findings of ECR's scanner in the image, by severity; none before the scan is complete.",
    labels=(*IMAGE, "severity"),
)
SCAN = Metric(
    "kpi_ecr_image_scan_status",
    "1 for the status of the image's last scan (NOT_SCANNED: there was none).",
    labels=(*IMAGE, "status"),
)
METRICS = (PUSHED, FINDINGS, SCAN)

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED")
"""Those of basic scanning, and UNTRIAGED of Amazon Inspector's enhanced scanning."""
DONE = ("COMPLETE", "ACTIVE")
"""ACTIVE is the status of an image that Inspector watches for good."""
NOT_SCANNED = "NOT_SCANNED"
STATUSES = frozenset(
    {
        *DONE,
        NOT_SCANNED,
        "FAILED",
        "FINDINGS_UNAVAILABLE",
        "IN_PROGRESS",
        "LIMIT_EXCEEDED",
        "PENDING",
        "SCAN_ELIGIBILITY_EXPIRED",
        "UNSUPPORTED_IMAGE",
    }
)
MOST_IMAGES = 10_000
NEVER = datetime.fromtimestamp(0, UTC)


class Image(Camel, frozen=True):
    """An image of a repository."""

    image_digest: str = ""
    image_tags: list[str] | None = None
    image_pushed_at: datetime | None = None


class Images(Camel, frozen=True):
    """A page of DescribeImages."""

    image_details: list[Image] | None = None


class ScanStatus(Camel, frozen=True):
    """How far a scan is."""

    status: str | None = None


class Findings(Camel, frozen=True):
    """What a scan found, counted."""

    finding_severity_counts: dict[str, int] | None = None


class Scan(Camel, frozen=True):
    """The answer of DescribeImageScanFindings, without the findings themselves."""

    image_scan_status: ScanStatus = ScanStatus()
    image_scan_findings: Findings = Findings()


async def collect(aws: Aws, repository: str, newest: int) -> Sequence[Sample]:
    """Describe the `newest` tagged images of `repository`.

    DescribeImages would tell the counts in one call, but the present scanner does not fill them in.
    Raises PermanentError where there are more images than can be looked through.
    """
    found: list[Image] = []
    tagged = {"tagStatus": "TAGGED"}
    async for page in aws.pages("ecr", "describe_images", repositoryName=repository, filter=tagged):
        found += [one for one in read(page, Images).image_details or () if one.image_tags]
        if len(found) > MOST_IMAGES:
            raise PermanentError(f"{repository} holds more than {MOST_IMAGES} tagged images")
    found.sort(key=lambda one: one.image_pushed_at or NEVER, reverse=True)
    samples: list[Sample] = []
    for image in found[:newest]:
        samples += image_samples(repository, image, await _scan(aws, repository, image))
    return samples


async def _scan(aws: Aws, repository: str, image: Image) -> Scan:
    """Return the image's last scan. The first page has the counts of all findings."""
    try:
        answer = await aws.call(
            "ecr",
            "describe_image_scan_findings",
            repositoryName=repository,
            imageId={"imageDigest": image.image_digest},
            maxResults=1,
        )
    except NotFoundError:
        return Scan(ScanStatus(NOT_SCANNED))
    return read(answer, Scan)


def image_samples(repository: str, image: Image, scan: Scan) -> Iterator[Sample]:
    """Describe an image by its first tag, in the alphabet's order."""
    labels = (repository, min(image.image_tags or [""]))
    if image.image_pushed_at is not None:
        yield Sample(PUSHED, labels, image.image_pushed_at.timestamp())
    status = scan.image_scan_status.status
    yield Sample(SCAN, (*labels, bounded(status or "", STATUSES)), 1.0)
    if status in DONE:
        counts = scan.image_scan_findings.finding_severity_counts or {}
        for severity in SEVERITIES:
            yield Sample(FINDINGS, (*labels, severity), counts.get(severity, 0))
