"""Jobs and the CronJobs that make them."""

from collections.abc import Iterator
from datetime import datetime

from exporter.contract import Sample
from exporter.kinds.words import bounded, gauge
from exporter.watch.objects import NO_META, Condition, Meta, View, condition, holds

_JOB = ("namespace", "job_name", "cronjob")
_CRON_JOB = ("namespace", "cronjob")

ACTIVE = gauge("kpi_job_pods_active", "Pods of the Job that run or wait.", _JOB)
SUCCEEDED = gauge("kpi_job_pods_succeeded", "Pods of the Job that succeeded.", _JOB)
FAILED = gauge("kpi_job_pods_failed", "Pods of the Job that failed.", _JOB)
COMPLETE = gauge("kpi_job_complete", "1 if the Job has reached its goal.", _JOB)
FAILED_REASON = gauge(
    "kpi_job_failed_reason",
    "1 for the reason why the Job was given up; none if it was not.",
    (*_JOB, "reason"),
)
STARTED = gauge("kpi_job_started_timestamp_seconds", "When the Job was started.", _JOB)
JOB_METRICS = (ACTIVE, SUCCEEDED, FAILED, COMPLETE, FAILED_REASON, STARTED)

SUSPENDED = gauge("kpi_cronjob_suspended", "1 if the CronJob starts nothing.", _CRON_JOB)
JOBS_ACTIVE = gauge("kpi_cronjob_jobs_active", "Jobs of the CronJob that run.", _CRON_JOB)
CREATED = gauge("kpi_cronjob_created_timestamp_seconds", "When the CronJob was created.", _CRON_JOB)
LAST_SCHEDULED = gauge(
    "kpi_cronjob_last_schedule_timestamp_seconds",
    "When the CronJob last started a Job; none if it never has.",
    _CRON_JOB,
)
LAST_SUCCEEDED = gauge(
    "kpi_cronjob_last_success_timestamp_seconds",
    "When a Job of the CronJob last succeeded; none if none ever has.",
    _CRON_JOB,
)
CRON_JOB_METRICS = (SUSPENDED, JOBS_ACTIVE, CREATED, LAST_SCHEDULED, LAST_SUCCEEDED)

FAILED_REASONS = frozenset(
    {
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "FailedIndexes",
        "MaxFailedIndexesExceeded",
        "PodFailurePolicy",
    }
)
"""batch/v1's constants."""


class JobStatus(View, frozen=True):
    """How far a Job is."""

    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    start_time: datetime | None = None
    conditions: list[Condition] | None = None


class Job(View, frozen=True):
    """batch/v1 Job."""

    metadata: Meta = NO_META
    status: JobStatus = JobStatus()


class CronJobSpec(View, frozen=True):
    """What a CronJob wants."""

    suspend: bool | None = None


class ActiveJob(View, frozen=True):
    """A reference to a Job that runs; that it is there is enough."""


class CronJobStatus(View, frozen=True):
    """What a CronJob has done."""

    active: list[ActiveJob] | None = None
    last_schedule_time: datetime | None = None
    last_successful_time: datetime | None = None


class CronJob(View, frozen=True):
    """batch/v1 CronJob."""

    metadata: Meta = NO_META
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


def job_samples(job: Job) -> Iterator[Sample]:
    """Describe a Job; the API leaves counts of 0 out."""
    meta, status = job.metadata, job.status
    owner = meta.controller
    cron_job = owner.name if owner is not None and owner.kind == "CronJob" else ""
    labels = (meta.namespace, meta.name, cron_job)
    yield Sample(ACTIVE, labels, float(status.active or 0))
    yield Sample(SUCCEEDED, labels, float(status.succeeded or 0))
    yield Sample(FAILED, labels, float(status.failed or 0))
    yield Sample(COMPLETE, labels, float(holds(status.conditions, "Complete")))
    given_up = condition(status.conditions, "Failed")
    if given_up is not None and given_up.status == "True":
        reason = bounded(given_up.reason or "", FAILED_REASONS)
        yield Sample(FAILED_REASON, (*labels, reason), 1.0)
    if status.start_time is not None:
        yield Sample(STARTED, labels, status.start_time.timestamp())


def cron_job_samples(cron_job: CronJob) -> Iterator[Sample]:
    """Describe a CronJob."""
    meta, status = cron_job.metadata, cron_job.status
    labels = (meta.namespace, meta.name)
    yield Sample(SUSPENDED, labels, float(cron_job.spec.suspend or False))
    yield Sample(JOBS_ACTIVE, labels, float(len(status.active or ())))
    for metric, at in (
        (CREATED, meta.creation_timestamp),
        (LAST_SCHEDULED, status.last_schedule_time),
        (LAST_SUCCEEDED, status.last_successful_time),
    ):
        if at is not None:
            yield Sample(metric, labels, at.timestamp())
