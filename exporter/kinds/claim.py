"""PersistentVolumeClaims: are they bound, and how large; how full is the kubelet's to say."""

from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import gauge
from exporter.kpi import CLAIM
from exporter.watch.objects import NO_META, Meta, View
from exporter.watch.quantity import amount

PHASE = gauge(
    "kpi_pvc_phase",
    "1 for the phase that the claim is in (Pending, Bound, Lost); other phases have no series.",
    (*CLAIM, "phase"),
)
REQUESTED = gauge("kpi_pvc_requested_bytes", "Storage that is asked for.", CLAIM)
CAPACITY = gauge(
    "kpi_pvc_capacity_bytes", "Storage of the bound volume; none if it is not bound.", CLAIM
)
METRICS = (PHASE, REQUESTED, CAPACITY)


class Storage(View, frozen=True):
    """A resource list with the one resource that a claim has."""

    storage: str | None = None


class ClaimResources(View, frozen=True):
    """What a claim asks for."""

    requests: Storage | None = None


class ClaimSpec(View, frozen=True):
    """What a claim wants."""

    resources: ClaimResources = ClaimResources()


class ClaimStatus(View, frozen=True):
    """What a claim has."""

    phase: str | None = None
    capacity: Storage | None = None


class Claim(View, frozen=True):
    """v1 PersistentVolumeClaim."""

    metadata: Meta = NO_META
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


def samples(claim: Claim) -> Iterator[Sample]:
    """Describe a claim."""
    labels = (claim.metadata.namespace, claim.metadata.name)
    if claim.status.phase:
        yield Sample(PHASE, (*labels, claim.status.phase), 1.0)
    for metric, storage in (
        (REQUESTED, claim.spec.resources.requests),
        (CAPACITY, claim.status.capacity),
    ):
        size = None if storage is None or storage.storage is None else amount(storage.storage)
        if size is not None:
            yield Sample(metric, labels, size)
