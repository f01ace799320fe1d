from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.alert import Alert, AlertStatus
from responder.domain.episode import Change, Episode, classify, holding

START = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


def _at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def _alert(starts: float, ends: float | None = None) -> Alert:
    return Alert(
        fingerprint="00",
        status=AlertStatus.FIRING if ends is None else AlertStatus.RESOLVED,
        labels={},
        annotations={},
        starts_at=_at(starts),
        starts_at_text="",
        ends_at=None if ends is None else _at(ends),
    )


def _episode(starts: float, ends: float | None = None) -> Episode:
    return Episode(
        id=1,
        cluster="default",
        fingerprint="00",
        incident_id=1,
        alert_name="KpiErrorRatioHigh",
        labels={},
        annotations={},
        starts_at=_at(starts),
        starts_at_text="",
        last_seen_at=_at(starts),
        ended_at=None if ends is None else _at(ends),
    )


@pytest.mark.parametrize(
    ("alert", "open_episode", "last_ended", "change"),
    [
        pytest.param(_alert(0), None, None, Change.OPEN, id="first firing"),
        pytest.param(_alert(9), None, _episode(0, 5), Change.OPEN, id="fires anew"),
        pytest.param(_alert(5), None, _episode(0, 5), Change.OPEN, id="fires as the last ended"),
        pytest.param(_alert(0), None, _episode(0, 5), Change.STALE, id="late firing of the ended"),
        pytest.param(_alert(0), _episode(0), None, Change.REPEAT, id="repeat"),
        pytest.param(_alert(-1), _episode(0), None, Change.REPEAT, id="HA Prometheus, earlier"),
        pytest.param(_alert(9), _episode(0), None, Change.REFIRE, id="only startsAt jumped"),
        pytest.param(
            _alert(0.999 / 60_000), _episode(0), None, Change.REPEAT, id="API's start, webhook's"
        ),
        pytest.param(_alert(0), _episode(9), _episode(0, 9), Change.STALE, id="before the refire"),
        pytest.param(_alert(0, 5), _episode(0), None, Change.RESOLVE, id="resolve"),
        pytest.param(_alert(-1, 5), _episode(0), None, Change.RESOLVE, id="resolve, HA"),
        pytest.param(_alert(2, 5), _episode(0), None, Change.RESOLVE, id="unseen refire, resolve"),
        pytest.param(_alert(0, 5), _episode(9), _episode(0, 5), Change.STALE, id="late resolve"),
        pytest.param(_alert(0, 9), _episode(9), None, Change.STALE, id="ends where the next began"),
        pytest.param(_alert(9, 9), _episode(9), None, Change.RESOLVE, id="as short as can be"),
        pytest.param(_alert(0, 5), None, _episode(0, 5), Change.STALE, id="resolve again"),
        pytest.param(_alert(0, 5), None, None, Change.ORPHAN, id="never fired here"),
        pytest.param(_alert(6, 7), None, _episode(0, 5), Change.ORPHAN, id="its firing was missed"),
    ],
)
def test_startsat_and_endsat_alone_say_what_a_delivery_means(
    alert: Alert, open_episode: Episode | None, last_ended: Episode | None, change: Change
) -> None:
    assert classify(alert, open_episode, last_ended) is change


def test_a_resolve_without_an_end_counts_from_its_start() -> None:
    without_end = replace(_alert(0, 5), ends_at=None)
    assert classify(without_end, _episode(0), None) is Change.RESOLVE
    assert classify(without_end, _episode(9), None) is Change.STALE


class _Ledger:
    """What the store does with each change."""

    def __init__(self) -> None:
        self.open: Episode | None = None
        self.ended: list[Episode] = []

    def deliver(self, alert: Alert) -> Change:
        change = classify(alert, self.open, self.ended[-1] if self.ended else None)
        if change is Change.RESOLVE:
            self._end(alert.ends_at or alert.starts_at)
        if change is Change.REFIRE:
            self._end(alert.starts_at)
        if change in (Change.OPEN, Change.REFIRE):
            assert self.open is None, "a second open episode"
            self.open = replace(_episode(0), starts_at=alert.starts_at)
        return change

    def _end(self, at: datetime) -> None:
        assert self.open is not None, "ended what was not open"
        self.ended.append(replace(self.open, ended_at=at))
        self.open = None


SPANS = st.lists(st.integers(1, 9), min_size=2, max_size=8)


def _history(spans: list[int]) -> list[Alert]:
    """Deliveries of firing spans with pauses between: fires, and where it ended, resolves."""
    minute, deliveries = 0, []
    for number in range(0, len(spans) - 1, 2):
        start, end = minute, minute + spans[number]
        deliveries += [_alert(start), _alert(start, end)]
        minute = end + spans[number + 1]
    return deliveries


@given(SPANS, st.data())
def test_duplicates_and_late_deliveries_never_change_where_it_ends_up(
    spans: list[int], data: st.DataObject
) -> None:
    history = _history(spans)
    last_firing, last_resolve = history[-2:]
    noisy = data.draw(st.lists(st.sampled_from(history), max_size=20))
    ledger = _Ledger()
    for alert in [*noisy, last_firing, last_resolve, *noisy]:
        ledger.deliver(alert)
    assert ledger.open is None
    assert ledger.ended[-1].ended_at == last_resolve.ends_at


@given(SPANS, st.data())
def test_what_still_fires_stays_open_whatever_arrives_late(
    spans: list[int], data: st.DataObject
) -> None:
    *earlier, firing, _ = _history(spans)
    noisy = data.draw(st.lists(st.sampled_from([*earlier, firing]), max_size=20))
    ledger = _Ledger()
    for alert in [*noisy, firing, *noisy]:
        ledger.deliver(alert)
    assert ledger.open is not None
    assert ledger.open.starts_at == firing.starts_at


def _of(severity: str, ends: float | None = None) -> Episode:
    return replace(_episode(0, ends), labels={"severity": severity})


@pytest.mark.parametrize(
    ("episodes", "held"),
    [
        pytest.param([_of("critical"), _of("warning")], ["critical"], id="both fire"),
        pytest.param([_of("critical", 5), _of("warning")], [], id="only the lesser one goes on"),
        pytest.param([_of("warning"), _of("info")], ["warning"], id="nothing graver came"),
        pytest.param([_of("page"), _of("warning")], ["page"], id="an unknown word counts as grave"),
        pytest.param([_of("critical", 5), _of("page")], ["page"], id="as grave as critical"),
        pytest.param([], [], id="none"),
    ],
)
def test_what_is_as_grave_as_the_gravest_holds_an_incident_open(
    episodes: list[Episode], held: list[str]
) -> None:
    assert [episode.labels["severity"] for episode in holding(episodes)] == held
