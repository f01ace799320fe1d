"""What is forgotten when its time has come, and all that must not be."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from responder.contract import Notification
from responder.domain.episode import Episode
from responder.domain.incident import StepRecord
from responder.domain.plan import Outcome, RunResult
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.store.database import Store, Transaction
from responder.store.inbox import NewDelivery
from responder.store.retention import Horizon
from tests.integration.responder.store.conftest import (
    RUNBOOK,
    T0,
    TARGET,
    an_episode,
    minutes,
    opened,
)

KEEP = timedelta(days=400)
NOW = T0 + KEEP + timedelta(days=1)
HORIZON = Horizon.at(NOW, KEEP, timedelta(days=14))
LATELY = NOW - timedelta(days=2)
OTHER = Target("StatefulSet", "default", "postgres")

Twist = Callable[[Transaction, int], Awaitable[object]]


def a_message(incident_id: int, key: str = "") -> Notification:
    return Notification(
        key=key or f"incident-{incident_id}:L1",
        dedup_key=f"incident-{incident_id}",
        kind="page",
        level=1,
        title="INC",
        text="Level 1.",
        severity="critical",
        incident_id=incident_id,
    )


def a_step(incident: int, number: int, intent_at: datetime) -> StepRecord:
    key = f"incident-{incident}:{number}:1"
    done = StepRecord(incident, 1, number, key, "restart", TARGET, effect=True)
    return replace(done, intent_at=intent_at, outcome=Outcome.DONE)


async def closed(tx: Transaction, target: Target = TARGET, fingerprint: str = "2bf8") -> int:
    """Leave an incident with a row in every table, closed a few minutes after T0."""
    incident = await opened(tx, target)
    episode = await tx.episodes.start(an_episode(incident, fingerprint))
    await tx.episodes.end(episode.id, minutes(3))
    await tx.runs.create(incident, RUNBOOK, target, "alert", T0)
    await tx.runs.ended(incident, 1, RunResult.CURED, "it holds", minutes(3))
    await tx.steps.put(a_step(incident, 1, minutes(1)))
    fact = Fact("opened", T0, Phase.DETECTION, Kind.INCIDENT_OPENED, "It opened.")
    await tx.timeline.add(incident, fact)
    await tx.evidence.put(incident, f"incident-{incident}:1:1", "logs", "panic", minutes(1))
    key = f"incident-{incident}:L1:oncall"
    await tx.outbox.add(key, "oncall", a_message(incident), T0)
    queued = await tx.outbox.claim("local", 10, T0)
    for item in queued:
        await tx.outbox.sent(item.id, minutes(1))
    await tx.incidents.resolve(incident, "runbookd", minutes(4))
    await tx.incidents.close(incident, minutes(20))
    return incident


async def forget(tx: Transaction, horizon: Horizon = HORIZON) -> list[dict[str, int]]:
    due = await tx.retention.forgettable(horizon, 10)
    return [await tx.retention.forget_incident(one, horizon) for one in due]


async def test_an_incident_goes_with_all_that_belongs_to_it(store: Store) -> None:
    async with store.transaction() as tx:
        old, kept = await closed(tx), await opened(tx)
        assert await forget(tx) == [
            {
                "episodes": 1,
                "steps": 1,
                "runs": 1,
                "timeline": 1,
                "evidence": 1,
                "outbox": 1,
                "incidents": 1,
            }
        ]
        assert await tx.incidents.get(old) is None
        assert await tx.incidents.get(kept) is not None
        assert await tx.retention.forget_incident(old, HORIZON) == {}
        assert set((await tx.retention.count(HORIZON)).values()) == {(0, 0), (1, 0)}


async def test_no_number_of_an_incident_is_given_twice(store: Store) -> None:
    async with store.transaction() as tx:
        newest = await closed(tx)
        await forget(tx)
    async with store.transaction() as tx:
        assert await opened(tx) > newest


async def reopened_alert(tx: Transaction, incident: int) -> Episode:
    """Have the alert of a closed incident fire on: a person said that it is over."""
    return await tx.episodes.start(
        replace(an_episode(incident), starts_at=minutes(5), last_seen_at=LATELY)
    )


async def resolved_lately(tx: Transaction, incident: int) -> None:
    await tx.episodes.end((await reopened_alert(tx, incident)).id, LATELY)


async def a_waiting_run(tx: Transaction, incident: int) -> None:
    await tx.runs.create(incident, RUNBOOK, TARGET, "undo", T0, NOW + timedelta(days=1))


async def a_late_run(tx: Transaction, incident: int) -> None:
    await tx.runs.create(incident, RUNBOOK, TARGET, "undo", T0)
    await tx.runs.ended(incident, 2, RunResult.COMPLETED, "taken back", LATELY)


MUST_STAY: dict[str, Twist] = {
    "it is open": lambda tx, one: tx.incidents.reopen(one, LATELY),
    "it is not yet over for good": lambda tx, one: tx.incidents.resolve(one, "ann", minutes(5)),
    "it was closed lately": lambda tx, one: tx.incidents.close(one, LATELY),
    "its alert fires on": reopened_alert,
    "its alert resolved lately": resolved_lately,
    "a run of it waits": a_waiting_run,
    "a run of it ended lately": a_late_run,
    "an effect of it is counted": lambda tx, one: tx.steps.put(a_step(one, 2, LATELY)),
    "a message about it is not sent": lambda tx, one: tx.outbox.add(
        "late", "oncall", a_message(one, "late"), T0
    ),
}


@pytest.mark.parametrize("why", MUST_STAY)
async def test_an_incident_stays_while(store: Store, why: str) -> None:
    async with store.transaction() as tx:
        stays = await closed(tx)
        goes = await closed(tx, OTHER, "3c09")
        await MUST_STAY[why](tx, stays)
        assert await tx.retention.forget_incident(stays, HORIZON) == {}
        assert await tx.retention.forgettable(HORIZON, 10) == [goes]
        count = await tx.retention.count(HORIZON)
        await forget(tx)
        assert await tx.incidents.get(stays) is not None
        assert await tx.steps.of_incident(stays) != []
        after = await tx.retention.count(HORIZON)
    assert count["incidents"] == (2, 1)
    assert {name: rows for name, (rows, _) in after.items()} == {
        name: rows - past for name, (rows, past) in count.items()
    }


async def test_an_alert_that_nobody_repeats_for_longer_than_anybody_waits_is_gone(
    store: Store,
) -> None:
    """A resolve is not always sent: silenced, inhibited, or Alertmanager began anew."""
    short = Horizon.at(NOW, timedelta(days=7), timedelta(days=1))
    async with store.transaction() as tx:
        silent, repeated = await closed(tx), await closed(tx, OTHER, "3c09")
        for one, fingerprint, days in ((silent, "aa", 31), (repeated, "bb", 29)):
            seen = NOW - timedelta(days=days)
            await tx.episodes.start(replace(an_episode(one, fingerprint), last_seen_at=seen))
        assert await tx.retention.forgettable(short, 10) == [silent]


async def test_rows_of_no_incident_go_a_few_at_a_time_and_what_waits_stays(store: Store) -> None:
    old, waits = NewDelivery(T0, "am", b"old"), NewDelivery(T0, "am", b"waits")
    async with store.transaction() as tx:
        for number in [await tx.inbox.append(old) for _ in range(3)]:
            await tx.inbox.done([number], minutes(1))
        await tx.inbox.failed(await tx.inbox.append(old), "malformed", minutes(1))
        await tx.inbox.append(waits)
        await tx.inbox.done([await tx.inbox.append(old)], LATELY)
        await tx.dead_letters.add(T0, "am", "malformed", 3, "00", b"old")
        await tx.dead_letters.add(LATELY, "am", "malformed", 3, "00", b"new")
        forgotten = [await tx.retention.forget_rows("inbox", HORIZON, 3) for _ in range(3)]
        assert forgotten == [3, 1, 0]
        assert [item.body for item in await tx.inbox.pending(10)] == [b"waits"]
        assert await tx.retention.forget_rows("dead_letters", HORIZON, 10) == 1
        assert [letter.head for letter in await tx.dead_letters.list(10)] == [b"new"]
        count = await tx.retention.count(HORIZON)
    assert (count["inbox"], count["dead_letters"]) == ((2, 0), (1, 0))


async def test_a_page_about_ourselves_is_sent_once_for_as_long_as_incidents_are_kept(
    store: Store,
) -> None:
    page = a_message(0, "audit:incident-1:dead")
    async with store.transaction() as tx:
        for key, sent_at in (("old", T0), ("late", LATELY), ("waiting", None)):
            await tx.outbox.add(key, "oncall", page, T0)
            (item,) = await tx.outbox.claim("local", 10, T0)
            if sent_at:
                await tx.outbox.sent(item.id, sent_at)
        assert await tx.retention.forget_rows("outbox", HORIZON, 10) == 1
        assert await tx.outbox.add("old", "oncall", page, NOW)
        assert not await tx.outbox.add("late", "oncall", page, NOW)
        assert not await tx.outbox.add("waiting", "oncall", page, NOW)


async def test_which_workflows_may_be_asked_for_again(store: Store) -> None:
    async with store.transaction() as tx:
        done, fires, waits = [
            await closed(tx, Target("Deployment", "default", name), name) for name in "abc"
        ]
        live = await opened(tx)
        await reopened_alert(tx, fires)
        await a_waiting_run(tx, waits)
        asked = {done, fires, waits, live, 999}
        assert await tx.retention.unfinished_of(asked) == {fires, waits, live}
        assert await tx.retention.unfinished_of(set()) == set()
