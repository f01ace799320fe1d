"""Events: counted once each, whatever the watch goes through, and the last ten for people."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from exporter.kinds.event import (
    AUTOSCALER,
    AUTOSCALER_REASONS,
    FIRST_AS_ZERO,
    MOST_COUNTERS,
    WARNINGS,
    Event,
    EventCounts,
    EventPublisher,
    EventSeries,
    InvolvedObject,
    RecentEvents,
)
from exporter.watch.objects import Meta
from tests.fake_clients import FakeClock
from tests.published import Page

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BACK_OFF = ("shop", "Pod", "BackOff")


def event(uid: str, count: int | None = None, *, minute: int = 0, namespace: str = "shop") -> Event:
    return Event(
        metadata=Meta(uid=uid, namespace=namespace),
        involved_object=InvolvedObject(kind="Pod", namespace=namespace, name=f"pod-{uid}"),
        type="Warning",
        reason="BackOff",
        count=count,
        last_timestamp=NOON + timedelta(minutes=minute),
    )


class Watch:
    """A watch on events, started again at will; counts and last events outlive it."""

    def __init__(self) -> None:
        self.page = Page()
        self.clock = FakeClock()
        self._counts, self._recent = EventCounts(self.clock), RecentEvents()
        self.start()

    def start(self) -> None:
        self.publisher = EventPublisher(self.page, self._counts, self._recent)

    def listing(self, *events: Event) -> None:
        self.publisher.begin()
        for one in events:
            self.publisher.on_object(one)
        self.publisher.sweep()
        self.publisher.alive()

    def told(self, one: Event) -> None:
        self.publisher.on_object(one)
        self.publisher.alive()

    @property
    def warnings(self) -> dict[tuple[str, ...], float]:
        """What the counters have come to."""
        self.clock.advance(FIRST_AS_ZERO.total_seconds())
        self.publisher.alive()
        return self.page.series(WARNINGS)


def test_what_happened_before_the_exporter_started_is_not_counted() -> None:
    watch = Watch()
    watch.listing(event("a", 7))
    assert watch.warnings == {}
    watch.told(event("a", 9))
    assert watch.warnings == {BACK_OFF: 2.0}


def test_an_event_counts_by_how_much_its_own_count_has_grown() -> None:
    watch = Watch()
    watch.listing()
    watch.told(event("a"))
    watch.told(event("a", 3))
    watch.told(event("a", 3))
    watch.told(event("b", 2))
    assert watch.warnings == {BACK_OFF: 5.0}


def test_the_first_warning_of_a_kind_is_an_increase_whenever_it_is_scraped() -> None:
    watch = Watch()
    watch.listing()
    watch.told(event("a", 2))
    scraped = []
    for _ in range(4):
        scraped.append(watch.page.series(WARNINGS)[BACK_OFF])
        watch.clock.advance(15)
        watch.publisher.alive()
    assert scraped == [0, 0, 2, 2]
    watch.told(event("a", 5))
    assert watch.page.series(WARNINGS) == {BACK_OFF: 5}


def test_what_a_listing_shows_for_the_first_time_is_an_increase_too() -> None:
    watch = Watch()
    watch.listing()
    watch.start()
    watch.listing(event("a", 2))
    assert watch.page.series(WARNINGS) == {BACK_OFF: 0}
    assert watch.warnings == {BACK_OFF: 2}


def test_events_of_both_apis_are_counted_alike() -> None:
    watch = Watch()
    watch.listing()
    watch.told(event("a"))
    watch.told(replace(event("a"), series=EventSeries(2)))
    watch.told(replace(event("a"), series=EventSeries(5)))
    assert watch.warnings == {BACK_OFF: 5.0}


def test_a_relist_counts_what_was_missed_and_nothing_twice() -> None:
    watch = Watch()
    watch.listing(event("a", 4))
    watch.told(event("b", 1))
    watch.listing(event("a", 5), event("b", 1), event("c", 2))
    assert watch.warnings == {BACK_OFF: 4.0}


def test_a_watch_that_is_started_again_goes_on_counting() -> None:
    watch = Watch()
    watch.listing(event("a", 4))
    watch.told(event("a", 6))
    watch.start()
    watch.listing(event("a", 7))
    assert watch.warnings == {BACK_OFF: 3.0}


def test_counts_stay_when_the_api_server_lets_go_of_an_event() -> None:
    watch = Watch()
    watch.listing()
    watch.told(event("a", 4))
    watch.publisher.on_delete("a")
    watch.listing()
    assert watch.warnings == {BACK_OFF: 4.0}


def test_the_autoscalers_counters_are_there_before_its_first_event() -> None:
    watch = Watch()
    watch.listing()
    assert watch.page.series(AUTOSCALER) == {(reason,): 0.0 for reason in AUTOSCALER_REASONS}
    watch.told(replace(event("a"), reason="TriggeredScaleUp", type="Normal"))
    assert watch.page.series(AUTOSCALER)["TriggeredScaleUp",] == 1.0
    assert watch.warnings == {}
    watch.told(replace(event("b"), reason="ScaleDownFailed"))
    assert watch.page.series(AUTOSCALER)["ScaleDownFailed",] == 1.0
    assert watch.warnings == {("shop", "Pod", "ScaleDownFailed"): 1.0}


def test_a_warning_in_words_of_ones_own_is_counted_as_other() -> None:
    watch = Watch()
    watch.listing()
    watch.told(replace(event("a"), reason="Moonshine"))
    assert watch.warnings == {("shop", "Pod", "Other"): 1.0}


def test_normal_events_are_not_counted() -> None:
    watch = Watch()
    watch.listing()
    watch.told(replace(event("a"), reason="Started", type="Normal"))
    assert watch.warnings == {}


def test_with_too_many_label_sets_namespaces_are_named_no_more() -> None:
    watch = Watch()
    watch.listing()
    for number in range(MOST_COUNTERS + 50):
        watch.told(event(f"e{number}", 1, namespace=f"ns-{number}"))
    assert len(watch.warnings) <= MOST_COUNTERS
    assert watch.warnings["Other", "Pod", "BackOff"] > 50
    assert sum(watch.warnings.values()) == MOST_COUNTERS + 50


def test_the_last_ten_events_are_shown_newest_first_whatever_their_severity() -> None:
    watch = Watch()
    watch.listing(*(event(f"e{minute}", minute=minute) for minute in range(15)))
    started = replace(event("n", minute=20), type="Normal", reason="Started", message="Started it")
    watch.told(started)
    rows = watch.page.shown["events"]
    assert [row["object"] for row in rows] == ["Pod/pod-n"] + [
        f"Pod/pod-e{minute}" for minute in range(14, 5, -1)
    ]
    assert rows[0] == {
        "at": "2026-11-24T12:20:00+00:00",
        "severity": "Normal",
        "namespace": "shop",
        "object": "Pod/pod-n",
        "reason": "Started",
        "message": "Started it",
        "count": 1,
    }


def test_an_event_that_happens_again_is_shown_once_as_it_is_now() -> None:
    watch = Watch()
    watch.listing(event("a", 1, minute=1), event("b", 1, minute=2))
    watch.told(event("a", 2, minute=3))
    rows = watch.page.shown["events"]
    assert [(row["object"], row["count"]) for row in rows] == [("Pod/pod-a", 2), ("Pod/pod-b", 1)]


def test_last_events_stay_after_the_api_server_lets_go_of_them() -> None:
    watch = Watch()
    watch.listing(event("a"))
    watch.publisher.on_delete("a")
    watch.listing()
    assert [row["object"] for row in watch.page.shown["events"]] == ["Pod/pod-a"]


def test_a_long_message_is_cut() -> None:
    watch = Watch()
    watch.listing(replace(event("a"), message="word \n" * 1000))
    message = str(watch.page.shown["events"][0]["message"])
    assert len(message) == 300
    assert message.startswith("word word")
    assert message.endswith("…")
