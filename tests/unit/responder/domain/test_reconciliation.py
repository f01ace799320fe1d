"""What follows from Alertmanager's API: presence proves that it fires, absence little."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.domain.episode import Change, Episode, classify
from responder.domain.reconciliation import (
    ABSENT_FOR,
    AGAIN,
    PATIENCE,
    TOLD_ANEW,
    Answer,
    Asked,
    Findings,
    Held,
    Here,
    Memory,
    decide,
    rest_of,
)
from responder.domain.values import Labels

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OLD = NOW - timedelta(hours=3)
RESOLVE_TIMEOUT = timedelta(minutes=7)
A, B = "http://a:9093", "http://b:9093"
OURS = frozenset({"runbookd"})
A_SECOND = timedelta(seconds=1)
GROUP = {"alertname": "G"}
NOTHING = Memory()


def an_alert(name: str, starts: datetime = OLD, **labels: str) -> Alert:
    return Alert(
        fingerprint=name,
        status=AlertStatus.FIRING,
        labels={"alertname": name, **labels},
        annotations={},
        starts_at=starts,
        starts_at_text=starts.isoformat(),
        ends_at=None,
    )


def held(alert: Alert, *receivers: str, is_told: bool = True, group: Labels | None = None) -> Held:
    return Held(alert, frozenset(receivers) or OURS, is_told, group)


def says(*holds: Held, url: str = A, up: timedelta = DAY, timed: Sequence[str] = ()) -> Answer:
    return Answer(url, NOW - up, RESOLVE_TIMEOUT, OURS, frozenset(timed), holds)


def an_episode(name: str, *, seen: datetime = OLD, held_by: str = A) -> Episode:
    return Episode(
        id=int.from_bytes(name.encode()),
        cluster="default",
        fingerprint=name,
        incident_id=1,
        alert_name=name,
        labels={"alertname": name},
        annotations={},
        starts_at=OLD,
        starts_at_text=OLD.isoformat(),
        last_seen_at=seen,
        receiver="runbookd",
        held_by=held_by,
    )


def here(*episodes: Episode, **ended: datetime) -> Here:
    return Here("default", episodes, ended, OURS)


def findings(asked: Asked, known: Here, memory: Memory = NOTHING) -> Findings:
    return decide(asked, known, memory, now=NOW)


def taken(found: Findings) -> list[str]:
    return [alert.fingerprint for alerts in found.firing.values() for alert in alerts]


def ended(asked: Asked, known: Here) -> list[str]:
    """Return what is over when the same is said for long enough."""
    since = NOW - ABSENT_FOR
    memory = decide(asked, known, Memory(), now=since).memory
    return [episode.fingerprint for episode in decide(asked, known, memory, now=NOW).over]


def test_what_fires_there_for_us_and_is_unknown_here_is_taken_in() -> None:
    other = held(an_alert("x"), "somebody")
    found = findings(Asked([says(held(an_alert("a")), held(an_alert("b")), other)]), here())
    assert {name: len(alerts) for name, alerts in found.firing.items()} == {"runbookd": 2}
    assert sorted(taken(found)) == ["a", "b"]


def test_what_any_of_them_keeps_silent_is_not_taken_in() -> None:
    silent = says(held(an_alert("a"), is_told=False), held(an_alert("b")))
    asked = Asked([says(held(an_alert("a")), held(an_alert("b")), url=B), silent])
    assert taken(findings(asked, here())) == ["b"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says(held(an_alert("a")), up=PATIENCE / 2), id="it may not yet inhibit it"),
        pytest.param(says(held(an_alert("a"), is_told=False)), id="silenced or inhibited"),
        pytest.param(says(held(an_alert("a"), "somebody")), id="for somebody else"),
        pytest.param(says(held(an_alert("a", cluster="other"))), id="another cluster's"),
        pytest.param(says(held(an_alert("a", NOW - PATIENCE / 2))), id="the webhook may yet come"),
        pytest.param(says(held(an_alert("a")), timed=["runbookd"]), id="muted at times"),
    ],
)
def test_what_no_webhook_had_to_tell_is_not_taken_in(answer: Answer) -> None:
    assert taken(findings(Asked([answer]), here())) == []


def test_what_is_open_here_is_not_taken_in_again() -> None:
    assert taken(findings(Asked([says(held(an_alert("a")))]), here(an_episode("a")))) == []


def test_of_two_that_list_it_the_earlier_start_stands() -> None:
    later = says(held(an_alert("a", NOW - HOUR)), url=B)
    found = findings(Asked([later, says(held(an_alert("a")))]), here())
    assert [alert.starts_at for alert in found.firing["runbookd"]] == [OLD]


def test_what_came_back_under_its_old_start_opens_an_episode_where_the_last_one_ended() -> None:
    end = NOW - PATIENCE - RESOLVE_TIMEOUT
    (alert,) = findings(Asked([says(held(an_alert("a")))]), here(a=end)).firing["runbookd"]
    last = replace(an_episode("a"), ended_at=end)
    assert classify(an_alert("a"), None, last) is Change.STALE
    assert classify(alert, None, last) is Change.OPEN


def test_what_ended_here_may_be_listed_for_as_long_as_a_resolve_timeout() -> None:
    asked, wait = Asked([says(held(an_alert("a")))]), PATIENCE + RESOLVE_TIMEOUT
    assert taken(findings(asked, here(a=NOW - wait + A_SECOND))) == []
    assert taken(findings(asked, here(a=NOW - wait))) == ["a"]


def test_what_began_after_the_end_that_is_known_here_waits_for_no_resolve_timeout() -> None:
    starts = NOW - PATIENCE
    asked = Asked([says(held(an_alert("a", starts)))])
    assert taken(findings(asked, here(a=starts - A_SECOND))) == ["a"]


def test_what_was_taken_in_ends_and_comes_back_under_its_old_start_is_taken_in_again() -> None:
    asked = Asked([says(held(an_alert("a")))])
    memory = findings(asked, here()).memory
    later = NOW + AGAIN / 2
    known = here(a=later - PATIENCE - RESOLVE_TIMEOUT)
    assert taken(decide(asked, known, memory, now=later)) == ["a"]


def test_what_was_taken_in_and_stays_unknown_is_not_tried_each_minute() -> None:
    asked = Asked([says(held(an_alert("a")))])
    memory = findings(asked, here()).memory
    later = decide(asked, here(), memory, now=NOW + AGAIN / 2)
    assert taken(later) == []
    assert taken(decide(asked, here(), later.memory, now=NOW + AGAIN)) == ["a"]


def test_what_nobody_lists_any_more_is_over() -> None:
    both = Asked([says(held(an_alert("b"))), says(url=B)])
    assert ended(both, here(an_episode("a"), an_episode("b"))) == ["a"]


def test_one_that_started_anew_is_believed_after_an_hour_when_it_lists_anything_at_all() -> None:
    anew = says(held(an_alert("b"), "somebody", is_told=False), up=TOLD_ANEW + ABSENT_FOR)
    assert ended(Asked([anew]), here(an_episode("a"))) == ["a"]


def test_one_that_lists_nothing_is_believed_when_it_has_run_since_the_last_delivery() -> None:
    assert ended(Asked([says(up=NOW - OLD)]), here(an_episode("a"))) == ["a"]


def test_absence_counts_from_the_first_round_that_saw_it() -> None:
    known = here(an_episode("a"))
    first = findings(Asked([says()]), known)
    assert (list(first.over), first.memory.absent) == ([], {"a": NOW})
    back = decide(Asked([says(held(an_alert("a")))]), known, first.memory, now=NOW + ABSENT_FOR)
    assert (list(back.over), back.memory.absent) == ([], {})


def test_a_delivery_after_the_absence_was_seen_begins_it_anew() -> None:
    seen = NOW - PATIENCE - RESOLVE_TIMEOUT
    asked, episode = Asked([says()]), an_episode("a", seen=seen)
    found = findings(asked, here(episode), Memory({"a": seen - A_SECOND}))
    assert (list(found.over), found.memory.absent) == ([], {"a": NOW})
    assert findings(asked, here(episode), Memory({"a": seen})).over == [episode]


@pytest.mark.parametrize(
    ("asked", "episode"),
    [
        pytest.param(Asked([]), an_episode("a"), id="nobody is asked"),
        pytest.param(Asked([], {A: "away: "}), an_episode("a"), id="nobody answers"),
        pytest.param(Asked([says()], {B: "away: "}), an_episode("a"), id="one does not answer"),
        pytest.param(
            Asked([says(), says(url=B, up=PATIENCE)]), an_episode("a"), id="one has just started"
        ),
        pytest.param(
            Asked([says(up=HOUR)]), an_episode("a"), id="started anew, and nobody reaches it"
        ),
        pytest.param(
            Asked([says(held(an_alert("b")), up=TOLD_ANEW)]),
            an_episode("a"),
            id="started anew, and perhaps not told of all again",
        ),
        pytest.param(
            Asked([says(), says(url=B, timed=["runbookd"])]),
            an_episode("a"),
            id="told at certain times only",
        ),
        pytest.param(Asked([says()]), an_episode("a", held_by=""), id="never seen there"),
        pytest.param(Asked([says()]), an_episode("a", held_by=B), id="seen at another"),
        pytest.param(
            Asked([says()]), an_episode("a", seen=NOW - RESOLVE_TIMEOUT), id="told of just now"
        ),
        pytest.param(
            Asked([says(held(an_alert("a"), is_told=False))]), an_episode("a"), id="silenced"
        ),
        pytest.param(
            Asked([says(held(an_alert("a"), "somebody"))]), an_episode("a"), id="routed elsewhere"
        ),
    ],
)
def test_while_it_cannot_be_told_nothing_is_over(asked: Asked, episode: Episode) -> None:
    assert ended(asked, here(episode)) == []


def test_who_lists_an_episode_is_remembered_until_that_one_is_asked_no_more() -> None:
    known = here(an_episode("a", held_by=""), an_episode("b"), an_episode("c", held_by=B))
    everything = [held(an_alert(name)) for name in "abc"]
    found = findings(Asked([says(*everything)]), known)
    assert {chr(number): url for number, url in found.held_by.items()} == {"a": A, "c": A}


names = st.sampled_from("abcd")
answers = st.builds(
    lambda url, listed, told, up: says(
        *(held(an_alert(name), is_told=told) for name in listed), url=url, up=up
    ),
    st.sampled_from([A, B]),
    st.sets(names),
    st.booleans(),
    st.sampled_from([DAY, PATIENCE]),
)


@given(st.lists(answers, max_size=2), st.sampled_from([{}, {B: "away: "}]), st.sets(names))
def test_nothing_that_anybody_lists_ends_and_nothing_that_is_open_begins(
    said: list[Answer], failures: dict[str, str], opened: set[str]
) -> None:
    asked = Asked(said, failures)
    known = here(*(an_episode(name) for name in sorted(opened)))
    over = set(ended(asked, known))
    listed = {each.alert.fingerprint for answer in said for each in answer.held}
    assert over <= opened - listed
    assert not over or (not failures and all(answer.started_at == NOW - DAY for answer in said))
    assert not set(taken(findings(asked, known))) & opened


def cut_delivery(*alerts: Alert, cut: int = 2) -> Delivery:
    return Delivery("runbookd", "", "", cut, alerts, GROUP)


def in_group(name: str, *receivers: str, is_told: bool = True, group: Labels = GROUP) -> Held:
    return held(of_group(name), *receivers, is_told=is_told, group=group)


def of_group(name: str, **labels: str) -> Alert:
    return replace(an_alert(name), labels={"alertname": "G", "i": name, **labels})


def test_the_rest_of_a_group_is_what_its_alertmanager_tells_us_of_it() -> None:
    group = [in_group(name) for name in "abc"]
    foreign = [in_group("x", group=GROUP | {"team": "o"}), in_group("y", "somebody")]
    silenced = in_group("z", is_told=False)
    rest = rest_of(cut_delivery(of_group("a")), Asked([says(*group, *foreign, silenced)]))
    assert [alert.fingerprint for alert in rest.found] == ["b", "c"]
    assert rest.problem == ""


def test_fewer_than_were_cut_off_is_no_problem_when_everybody_answered() -> None:
    asked = Asked([says(in_group("a"), in_group("b"))])
    rest = rest_of(cut_delivery(of_group("a")), asked)
    assert ([alert.fingerprint for alert in rest.found], rest.problem) == (["b"], "")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        pytest.param(Asked([], {A: "away: TimeoutError"}), "away: TimeoutError", id="away"),
        pytest.param(
            Asked([says(in_group("a"))], {B: "refused: 403"}), "refused: 403", id="one away"
        ),
        pytest.param(Asked([says(in_group("a", group={}))]), "knows the group", id="a wrong one"),
    ],
)
def test_what_may_still_be_unknown_has_a_reason(asked: Asked, problem: str) -> None:
    assert problem in rest_of(cut_delivery(of_group("a")), asked).problem


def test_with_all_that_was_cut_off_in_hand_it_does_not_matter_who_is_away() -> None:
    asked = Asked([says(*(in_group(name) for name in "abc"))], {B: "away: "})
    assert rest_of(cut_delivery(of_group("a")), asked).problem == ""


def test_what_lacks_the_labels_of_other_groups_is_a_group_of_its_own() -> None:
    bare, others = in_group("b", group={}), [in_group(name) for name in "cd"]
    delivery = replace(cut_delivery(of_group("a")), group_labels={})
    rest = rest_of(delivery, Asked([says(bare, *others)], {B: "away: "}))
    assert [alert.fingerprint for alert in rest.found] == ["b"]
    assert "away" in rest.problem, "the others do not count"


def test_a_group_of_which_all_that_came_has_resolved_is_known_by_its_receiver() -> None:
    resolved = replace(of_group("a"), status=AlertStatus.RESOLVED, ends_at=NOW)
    assert rest_of(cut_delivery(resolved), Asked([says()])).problem == ""
    elsewhere = replace(says(), receivers=frozenset({"somebody"}))
    assert rest_of(cut_delivery(resolved), Asked([elsewhere])).problem != ""
