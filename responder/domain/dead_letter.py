"""Why a delivery cannot be used: it is kept as a dead letter, counted, and told to people."""

from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override


class DeadLetterReason(StrEnum):
    """All reasons there are; the values label the dead letters' metric."""

    NOT_JSON = "not_json"
    """Cut off, not UTF-8, or something else altogether."""
    WRONG_SHAPE = "wrong_shape"
    """JSON, but a field that decides is missing or of the wrong type."""
    WRONG_VERSION = "wrong_version"
    """Another version than 4; also a custom `payload` that names one."""
    BAD_VALUE = "bad_value"
    """A time, status or fingerprint that Alertmanager never writes."""
    TOO_LARGE = "too_large"
    """More bytes than a body may have."""
    OTHER_CLUSTER = "other_cluster"
    """Alerts in it are labelled with a cluster that is not ours."""
    FAILED = "failed"
    """Our own code broke on it, again and again."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """What is said of one delivery; as text `<reason>: <detail>`."""

    reason: DeadLetterReason
    detail: str

    @override
    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"
