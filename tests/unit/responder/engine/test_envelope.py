"""What Alertmanager sends is understood; what it never sends is refused with the reason."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.domain.alert import AlertStatus
from responder.domain.dead_letter import DeadLetterReason
from responder.domain.values import Json, JsonObject
from responder.engine.envelope import MalformedDeliveryError, decode_delivery, encode_delivery

DATA = Path(__file__).parents[3] / "data"


def recorded(name: str) -> bytes:
    return (DATA / f"alertmanager_{name}.json").read_bytes()


def changed(**fields: Json) -> bytes:
    """Return the recorded firing delivery with fields replaced; None takes one out."""
    document: JsonObject = json.loads(recorded("firing"))
    document.update(fields)
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


def with_alert(**fields: Json) -> bytes:
    """Return the recorded firing delivery with fields of its alert replaced or taken out."""
    alert: JsonObject = json.loads(recorded("firing"))["alerts"][0]
    alert.update(fields)
    return changed(alerts=[{k: v for k, v in alert.items() if v is not None}])


def refusal(body: bytes) -> MalformedDeliveryError:
    with pytest.raises(MalformedDeliveryError) as caught:
        decode_delivery(body)
    return caught.value


def test_a_recorded_delivery_is_understood_whole() -> None:
    delivery = decode_delivery(recorded("firing"))
    assert delivery.external_url == "http://alertmanager:9093"
    assert delivery.group_key.startswith('{}:{alertname="KpiErrorRatioHigh"')
    assert delivery.truncated == 0
    [alert] = delivery.alerts
    assert alert.name == "KpiErrorRatioHigh"
    assert alert.fingerprint == "2bf80ebe93a0c1a6"
    assert alert.labels["workload"] == "task-manager"
    assert alert.annotations["summary"].startswith("20 %")
    assert alert.generator_url.startswith("http://127.0.0.1:9090/graph")


def test_what_the_group_has_in_common_is_kept() -> None:
    assert decode_delivery(recorded("firing")).group_labels["alertname"] == "KpiErrorRatioHigh"


@pytest.mark.parametrize("name", ["firing", "mixed", "resolved"])
def test_a_delivery_of_our_own_says_what_the_webhook_would_have_said(name: str) -> None:
    webhook = decode_delivery(recorded(name))
    ours = decode_delivery(encode_delivery(webhook.receiver, webhook.alerts))
    assert (ours.receiver, ours.alerts) == (webhook.receiver, webhook.alerts)


def test_a_firing_alert_has_no_end_though_the_year_1_is_sent() -> None:
    assert b"0001-01-01T00:00:00Z" in recorded("firing")
    assert decode_delivery(recorded("firing")).alerts[0].ends_at is None


def test_nanoseconds_are_cut_in_the_value_and_kept_in_the_text() -> None:
    [alert] = decode_delivery(recorded("firing")).alerts
    assert alert.starts_at_text == "2026-11-24T00:08:40.060628123Z"
    assert alert.starts_at == datetime(2026, 11, 24, 0, 8, 40, 60628, tzinfo=UTC)


def test_a_resolved_alert_has_its_end() -> None:
    [alert] = decode_delivery(recorded("resolved")).alerts
    assert alert.status is AlertStatus.RESOLVED
    assert alert.ends_at == datetime(2026, 11, 24, 0, 8, 42, 65475, tzinfo=UTC)


def test_the_status_of_each_alert_counts_and_the_groups_does_not() -> None:
    assert json.loads(recorded("mixed"))["status"] == "firing"
    statuses = [alert.status for alert in decode_delivery(recorded("mixed")).alerts]
    assert statuses == [AlertStatus.RESOLVED, AlertStatus.FIRING]


def test_the_receiver_is_unquoted() -> None:
    assert json.loads(recorded("firing"))["receiver"] == "responder\\.default"
    assert decode_delivery(recorded("firing")).receiver == "responder.default"


def test_every_character_that_go_quotes_is_unquoted() -> None:
    plain = r"a\b.c+d*e?f(g)h|i[j]k{l}m^n$o-p"
    quoted = "".join(f"\\{one}" if one in r"\.+*?()|[]{}^$" else one for one in plain)
    assert decode_delivery(changed(receiver=quoted)).receiver == plain


def test_truncated_alerts_are_counted() -> None:
    assert decode_delivery(recorded("truncated")).truncated == 2


def test_fields_of_newer_versions_are_passed_over() -> None:
    body = changed(notification_reason="repeat interval elapsed", routeLabels={"a": "b"})
    assert len(decode_delivery(body).alerts) == 1


@pytest.mark.parametrize(
    "field", ["receiver", "groupKey", "externalURL", "truncatedAlerts", "status", "commonLabels"]
)
def test_a_field_that_decides_nothing_may_be_missing(field: str) -> None:
    assert len(decode_delivery(changed(**{field: None})).alerts) == 1


@pytest.mark.parametrize("field", ["annotations", "endsAt", "generatorURL"])
def test_a_field_of_an_alert_that_decides_nothing_may_be_missing(field: str) -> None:
    assert len(decode_delivery(with_alert(**{field: None})).alerts) == 1


def test_a_start_in_another_zone_becomes_utc() -> None:
    [alert] = decode_delivery(with_alert(startsAt="2026-11-24T02:00:00.5+02:00")).alerts
    assert alert.starts_at == datetime(2026, 11, 24, 0, 0, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"alerts",
        b"<html></html>",
        recorded("firing")[:500],
        b'{"version":"4","alerts":[],"receiver":"\xff"}',
        b'{"deep":' + b"[" * 100_000,
        recorded("firing") + b"{}",
    ],
    ids=["empty", "word", "html", "cut", "not-utf-8", "bottomless", "two-documents"],
)
def test_what_is_no_json_is_refused_as_such(body: bytes) -> None:
    assert refusal(body).why.reason is DeadLetterReason.NOT_JSON


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"4",
        b"null",
        changed(alerts=None),
        changed(alerts="none"),
        changed(alerts=["KpiErrorRatioHigh"]),
        b'{"version":"4","alerts":null}',
        changed(version=None),
        changed(version=4),
        changed(truncatedAlerts="2"),
        with_alert(labels=None),
        with_alert(labels={"severity": 1}),
        with_alert(labels=["severity"]),
        with_alert(status=None),
        with_alert(startsAt=None),
        with_alert(startsAt=1764000000),
        with_alert(fingerprint=None),
    ],
)
def test_a_wrong_shape_is_refused_as_such(body: bytes) -> None:
    assert refusal(body).why.reason is DeadLetterReason.WRONG_SHAPE


def test_the_refusal_says_where() -> None:
    assert "$.alerts[0].labels" in str(refusal(with_alert(labels=["severity"])))


def test_another_version_is_refused_rather_than_guessed_at() -> None:
    assert refusal(changed(version="5")).why.reason is DeadLetterReason.WRONG_VERSION


@pytest.mark.parametrize(
    "body",
    [
        with_alert(status="suppressed"),
        with_alert(status=""),
        with_alert(startsAt=""),
        with_alert(startsAt="yesterday"),
        with_alert(startsAt="20261124T000000Z"),
        with_alert(startsAt="2026-11-24T00:00:00"),
        with_alert(startsAt="2026-13-24T00:00:00Z"),
        with_alert(startsAt="0001-01-01T00:00:00+02:00"),
        with_alert(status="resolved", endsAt="soon"),
        with_alert(fingerprint=""),
        with_alert(fingerprint="../../etc/passwd"),
    ],
)
def test_a_value_that_alertmanager_never_writes_is_refused(body: bytes) -> None:
    assert refusal(body).why.reason is DeadLetterReason.BAD_VALUE


def test_a_refusal_quotes_no_more_than_a_line_of_what_came() -> None:
    assert len(str(refusal(with_alert(status="x" * 10_000_000)))) < 200
