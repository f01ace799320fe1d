"""Incidents, episodes, runs, steps, timeline and evidence."""

from dataclasses import replace

import pytest

from exporter.shared.errors import ConflictError
from responder.domain.incident import IncidentStatus, RunStatus, StepRecord
from responder.domain.plan import Outcome, RunResult
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.store.database import Store
from responder.store.episodes import AT_ONCE
from tests.integration.responder.store.conftest import (
    LEVELS,
    RUNBOOK,
    T0,
    TARGET,
    an_episode,
    an_incident,
    minutes,
    opened,
)

OTHER = Target("StatefulSet", "default", "postgres")


async def test_an_incident_comes_back_as_it_was_frozen(store: Store) -> None:
    async with store.transaction() as tx:
        incident = await tx.incidents.open(an_incident())
    async with store.reading() as tx:
        assert await tx.incidents.get(incident.id) == incident
        assert await tx.incidents.live_for("test", TARGET) == incident
        assert await tx.incidents.live_for("other", TARGET) is None
        assert await tx.incidents.live_for("test", OTHER) is None
    assert incident == replace(an_incident(), id=incident.id)
    assert (incident.runbook, incident.escalation) == (RUNBOOK, LEVELS)


async def test_an_incident_without_a_runbook_is_one_that_only_escalates(store: Store) -> None:
    async with store.transaction() as tx:
        incident = await tx.incidents.open(an_incident(runbook=None))
        assert incident.runbook is None
        await tx.incidents.adopt(incident.id, replace(an_incident(), severity="warning"))
        adopted = await tx.incidents.get(incident.id)
    assert adopted == replace(incident, runbook=RUNBOOK, severity="warning")


async def test_a_resolved_incident_still_holds_its_target_and_a_closed_one_does_not(
    store: Store,
) -> None:
    async with store.transaction() as tx:
        first = await opened(tx)
        await tx.incidents.resolve(first, "runbookd", minutes(1))
        resolved = await tx.incidents.live_for("test", TARGET)
        assert resolved is not None
        assert (resolved.status, resolved.resolved_by) == (IncidentStatus.RESOLVED, "runbookd")
        assert resolved.resolved_at == minutes(1)
    with pytest.raises(ConflictError):
        async with store.transaction() as tx:
            await opened(tx)
    async with store.transaction() as tx:
        await tx.incidents.close(first, minutes(20))
        assert await tx.incidents.live_for("test", TARGET) is None
        second = await opened(tx)
        assert await tx.incidents.open_ids() == [second]
        everything = await tx.incidents.list(None, 10)
        assert [incident.id for incident in everything] == [second, first]
        closed = await tx.incidents.list({IncidentStatus.CLOSED}, 10)
        assert [incident.id for incident in closed] == [first]


async def test_a_reopened_incident_keeps_its_clock_and_its_levels(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        await tx.incidents.told(number, 2)
        await tx.incidents.resolve(number, "runbookd", minutes(1))
        await tx.incidents.reopen(number, minutes(5))
        incident = await tx.incidents.get(number)
    assert incident == replace(an_incident(), id=number, told_level=2)


async def test_only_the_first_ack_of_an_open_incident_counts(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        assert await tx.incidents.ack(number, "ann", minutes(1))
        assert not await tx.incidents.ack(number, "bob", minutes(2))
        assert not await tx.incidents.ack(number + 1, "bob", minutes(2))
        await tx.incidents.escalate_now(number, "run 1 failed")
        incident = await tx.incidents.get(number)
    assert incident is not None
    assert (incident.acked_by, incident.acked_at) == ("ann", minutes(1))
    assert incident.escalate_now == "run 1 failed"


async def test_a_hold_ends_by_a_word_or_with_the_incident(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        assert await tx.incidents.hold(number, "ann", minutes(1))
        assert not await tx.incidents.hold(number, "bob", minutes(2))
        held = await tx.incidents.get(number)
        assert await tx.incidents.resume(number)
        assert not await tx.incidents.resume(number)
        assert await tx.incidents.hold(number, "bob", minutes(3))
        await tx.incidents.resolve(number, "ann", minutes(4))
        assert not await tx.incidents.hold(number, "ann", minutes(5))
        over = await tx.incidents.get(number)
    assert held is not None
    assert (held.held_by, held.held_at) == ("ann", minutes(1))
    assert over is not None
    assert (over.held_by, over.held_at) == ("", None)


async def test_one_episode_is_open_per_fingerprint_and_the_last_end_is_known(
    store: Store,
) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        episode = await tx.episodes.start(an_episode(number))
        fingerprint = episode.fingerprint
        assert await tx.episodes.open_for("test", fingerprint) == episode
        assert await tx.episodes.last_ended("test", fingerprint) is None
        strangers = {f"{number:016x}" for number in range(2 * AT_ONCE)}
        assert await tx.episodes.known("test", strangers | {fingerprint}) == {fingerprint}
        assert await tx.episodes.known("another", {fingerprint}) == set()
    with pytest.raises(ConflictError):
        async with store.transaction() as tx:
            await tx.episodes.start(an_episode(number))
    async with store.transaction() as tx:
        seen = replace(
            episode,
            last_seen_at=minutes(1),
            annotations={"summary": "30 % fail"},
            starts_at=minutes(-1),
            receiver="web.dot",
        )
        await tx.episodes.seen(seen)
        await tx.episodes.end(episode.id, minutes(2))
        ended = await tx.episodes.last_ended("test", fingerprint)
        assert await tx.episodes.known("test", {fingerprint}) == {fingerprint}
        again = await tx.episodes.start(an_episode(number))
        assert await tx.episodes.of_incident(number) == [ended, again]
        assert await tx.episodes.open_of_incident(number) == [again]
    assert ended == replace(seen, ended_at=minutes(2))


async def test_receivers_are_those_whose_webhooks_told_of_an_episode_of_late(store: Store) -> None:
    told = {"early": 1, "late": 2, "later": 3, "": 3}
    async with store.transaction() as tx:
        number = await opened(tx)
        for name, at in told.items():
            one = replace(an_episode(number), receiver=name, last_seen_at=minutes(at))
            await tx.episodes.end((await tx.episodes.start(one)).id, minutes(at))
        assert await tx.episodes.receivers("test", minutes(2)) == {"late", "later"}
        assert await tx.episodes.receivers("elsewhere", minutes(0)) == set()


async def test_runs_are_numbered_and_their_steps_count_over_all_of_them(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        first = await tx.runs.create(number, RUNBOOK, TARGET, "alert", T0)
        second = await tx.runs.create(number, RUNBOOK, TARGET, "ann", minutes(1))
        assert (first.number, first.first_step) == (1, 1)
        assert (second.number, second.first_step) == (2, 1 + len(RUNBOOK.steps))
        assert await tx.runs.of_incident(number) == [first, second]
        assert await tx.runs.unfinished_on(TARGET) == [first, second]
        assert await tx.runs.unfinished_on(OTHER) == []
        await tx.runs.started(number, 1, minutes(2))
        assert await tx.runs.waiting() == [second]
        await tx.runs.ended(number, 1, RunResult.CURED, "error_ratio holds", minutes(3))
        assert await tx.runs.unfinished_on(TARGET) == [second]
        assert await tx.runs.get(number, 3) is None
        ended = await tx.runs.get(number, 1)
    assert ended == replace(
        first,
        status=RunStatus.ENDED,
        result=RunResult.CURED,
        reason="error_ratio holds",
        started_at=minutes(2),
        ended_at=minutes(3),
    )


def a_step(incident: int, step: int, target: Target = TARGET) -> StepRecord:
    return StepRecord(
        incident_id=incident,
        run=1,
        step=step,
        key=f"incident-{incident}:{step}:1",
        action="rollback",
        target=target,
        params={"to": "previous"},
        effect=True,
    )


async def test_a_step_is_replaced_as_it_goes_on(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        await tx.steps.put(a_step(number, 1))
        done = replace(
            a_step(number, 1),
            plan={"summary": "roll back"},
            verdict={"verdict": "allowed"},
            intent_at=T0,
            boot="b1",
            outcome=Outcome.DONE,
            detail="4 of 4 pods",
            facts={"pods": 4},
            ended_at=minutes(1),
        )
        await tx.steps.put(done)
        await tx.steps.put(replace(a_step(number, 2), run=2))
        assert await tx.steps.of_run(number, 1) == [done]
        assert [one.step for one in await tx.steps.of_incident(number)] == [1, 2]


async def test_effects_are_counted_from_the_intent_unless_refused(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        steps = [
            replace(a_step(number, 1), intent_at=minutes(1)),
            replace(a_step(number, 2), intent_at=minutes(2), outcome=Outcome.UNKNOWN),
            replace(a_step(number, 3), intent_at=minutes(3), outcome=Outcome.REFUSED),
            replace(a_step(number, 4), intent_at=minutes(4), effect=False),
            a_step(number, 5),
            replace(a_step(number, 6, OTHER), intent_at=minutes(6), outcome=Outcome.DONE),
        ]
        for step in steps:
            await tx.steps.put(step)
        assert await tx.steps.effects_on(TARGET, T0) == [
            (minutes(1), number, 1),
            (minutes(2), number, 1),
        ]
        assert await tx.steps.effects_on(TARGET, minutes(2)) == [(minutes(2), number, 1)]
        assert await tx.steps.effects_since(minutes(2)) == [minutes(2), minutes(6)]


async def test_a_fact_is_told_once_and_the_timeline_is_in_order_of_time(store: Store) -> None:
    later = Fact("verdict", minutes(2), Phase.MITIGATION, Kind.VERDICT, "Allowed.", {"n": [1]})
    first = Fact("opened", T0, Phase.DETECTION, Kind.INCIDENT_OPENED, "Opened.", actor="ann")
    async with store.transaction() as tx:
        number, other = await opened(tx), await opened(tx, OTHER)
        assert await tx.timeline.add(number, later)
        assert await tx.timeline.add(number, first)
        assert not await tx.timeline.add(number, replace(first, text="Opened again."))
        assert await tx.timeline.add(other, first)
        assert await tx.timeline.of_incident(number) == [first, later]


async def test_evidence_of_the_same_step_and_name_is_replaced(store: Store) -> None:
    async with store.transaction() as tx:
        number = await opened(tx)
        await tx.evidence.put(number, "incident-1:1:1", "events", "none", T0)
        await tx.evidence.put(number, "incident-1:1:1", "events", "BackOff", minutes(1))
        await tx.evidence.put(number, "incident-1:1:1", "logs", "boom", T0)
        found = [(one.name, one.text, one.at) for one in await tx.evidence.of_incident(number)]
    assert found == [("logs", "boom", T0), ("events", "BackOff", minutes(1))]


async def test_what_belongs_to_no_incident_is_refused(store: Store) -> None:
    with pytest.raises(ConflictError):
        async with store.transaction() as tx:
            await tx.episodes.start(an_episode(99))
