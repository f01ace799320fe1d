"""S3: how old and how large the newest backup is, and how many are kept."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from exporter.aws_port import Aws
from exporter.cloud.answers import Pascal, read
from exporter.contract import Metric, Sample
from exporter.shared.errors import PermanentError

BACKUP = ("backup",)

NEWEST = Metric(
    "kpi_backup_newest_timestamp_seconds",
    "When the newest backup was written; none where there is no backup.",
    labels=BACKUP,
)
SIZE = Metric("kpi_backup_newest_size_bytes", "Size of the newest backup.", labels=BACKUP)
KEPT = Metric("kpi_backup_kept", "Backups that are younger than the retention.", labels=BACKUP)
EXPIRED = Metric(
    "kpi_backup_expired",
    "Backups that are older than the retention and still there.",
    labels=BACKUP,
)
METRICS = (NEWEST, SIZE, KEPT, EXPIRED)


class Object(Pascal, frozen=True):
    """An object in a bucket."""

    key: str = ""
    last_modified: datetime | None = None
    size: int = 0


class Objects(Pascal, frozen=True):
    """A page of ListObjectsV2."""

    contents: list[Object] | None = None


async def listing(aws: Aws, bucket: str, prefix: str, *, most: int) -> Sequence[Object]:
    """Return the objects below `prefix`. Raises PermanentError when there are more than `most`."""
    found: list[Object] = []
    async for page in aws.pages("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix):
        found += read(page, Objects).contents or ()
        if len(found) > most:
            raise PermanentError(f"{bucket}/{prefix} holds more than {most} objects (max_objects)")
    return found


def backup_samples(
    backup: str, objects: Iterable[Object], retention: timedelta, now: datetime
) -> Iterator[Sample]:
    """Describe the backups among `objects`; those without a time are none."""
    times = sorted(
        (one.last_modified, one.size) for one in objects if one.last_modified is not None
    )
    if times:
        written, size = times[-1]
        yield Sample(NEWEST, (backup,), written.timestamp())
        yield Sample(SIZE, (backup,), size)
    kept = sum(now - written < retention for written, _ in times)
    yield Sample(KEPT, (backup,), kept)
    yield Sample(EXPIRED, (backup,), len(times) - kept)
