"""Decodes what Alertmanager delivers (webhook version 4); everything it cannot mean is refused.

Fields that are unknown are passed over, since Alertmanager adds some without a new version, and
what only newer or older versions send may be missing. What decides (the version, the alerts, their
status, labels, fingerprint and start) must be there: nothing is guessed.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from exporter.shared.errors import RunbookdError
from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.domain.dead_letter import DeadLetterReason, Unusable

VERSION = "4"
QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
"""What Go's regexp.QuoteMeta writes; Alertmanager quotes the receiver's name with it."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")


class MalformedDeliveryError(RunbookdError):
    """The body is no delivery that we know; `why` says what is wrong with it, and is the text."""

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        self.why = Unusable(reason, detail)
        super().__init__(str(self.why))


class _Alert(msgspec.Struct, rename="camel"):
    status: str
    labels: dict[str, str]
    starts_at: str
    fingerprint: str
    annotations: dict[str, str] | None = None
    ends_at: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Envelope(msgspec.Struct, rename="camel"):
    version: str
    alerts: list[_Alert]
    receiver: str = ""
    group_key: str = ""
    external_url: str = msgspec.field(default="", name="externalURL")
    group_labels: dict[str, str] | None = None
    truncated_alerts: int = 0


_decoder = msgspec.json.Decoder(_Envelope)


def decode_delivery(body: bytes) -> Delivery:
    """Decode the body of one webhook call. Raises MalformedDeliveryError."""
    envelope = _envelope(body)
    if envelope.version != VERSION:
        raise MalformedDeliveryError(
            DeadLetterReason.WRONG_VERSION,
            f"version {envelope.version[:20]!r} instead of {VERSION!r}",
        )
    return Delivery(
        receiver=QUOTED.sub(r"\1", envelope.receiver),
        group_key=envelope.group_key,
        external_url=envelope.external_url,
        truncated=envelope.truncated_alerts,
        alerts=tuple(_alert(alert) for alert in envelope.alerts),
        group_labels=envelope.group_labels or {},
    )


def encode_delivery(receiver: str, alerts: Sequence[Alert]) -> bytes:
    """Write alerts that no webhook brought as one would have brought them."""
    envelope = _Envelope(
        version=VERSION,
        receiver=receiver,
        alerts=[
            _Alert(
                status=alert.status.value,
                labels=dict(alert.labels),
                annotations=dict(alert.annotations),
                starts_at=alert.starts_at_text,
                ends_at=alert.ends_at.isoformat() if alert.ends_at else "",
                fingerprint=alert.fingerprint,
                generator_url=alert.generator_url,
            )
            for alert in alerts
        ],
    )
    return msgspec.json.encode(envelope)


def _envelope(body: bytes) -> _Envelope:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedDeliveryError(DeadLetterReason.WRONG_SHAPE, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedDeliveryError(DeadLetterReason.NOT_JSON, str(error)) from error


def _alert(alert: _Alert) -> Alert:
    if not FINGERPRINT.fullmatch(alert.fingerprint):
        raise MalformedDeliveryError(
            DeadLetterReason.BAD_VALUE,
            f"fingerprint {alert.fingerprint[:40]!r} is not 16 hex digits",
        )
    status = _status(alert.status)
    return Alert(
        fingerprint=alert.fingerprint,
        status=status,
        labels=alert.labels,
        annotations=alert.annotations or {},
        starts_at=_time(alert.starts_at),
        starts_at_text=alert.starts_at,
        ends_at=_end(alert.ends_at) if status is AlertStatus.RESOLVED else None,
        generator_url=alert.generator_url,
    )


def _status(text: str) -> AlertStatus:
    try:
        return AlertStatus(text)
    except ValueError as error:
        raise MalformedDeliveryError(
            DeadLetterReason.BAD_VALUE, f"status {text[:40]!r} is neither firing nor resolved"
        ) from error


def _end(text: str) -> datetime | None:
    """Read an end; the year 1 is Go's zero time and means that there is none."""
    return None if not text or text.startswith("0001-") else _time(text)


def _time(text: str) -> datetime:
    """Read RFC 3339 as UTC, cut to microseconds: nanoseconds do not fit a datetime."""
    if not TIME.fullmatch(text):
        raise MalformedDeliveryError(
            DeadLetterReason.BAD_VALUE, f"time {text[:40]!r} is not RFC 3339"
        )
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedDeliveryError(
            DeadLetterReason.BAD_VALUE, f"time {text[:40]!r}: {error}"
        ) from error
