"""What the console keeps and asks: sessions, what changed, several incidents at once."""

from dataclasses import replace

from responder.domain.incident import StepRecord
from responder.domain.plan import Outcome
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.store.changes import News
from responder.store.database import Store
from responder.store.sessions import Session
from responder.store.switches import Switch
from tests.integration.responder.store.conftest import RUNBOOK, T0, TARGET, minutes, opened

OTHER = Target("StatefulSet", "default", "postgres")


def a_step(incident: int, number: int = 1) -> StepRecord:
    return StepRecord(incident, 1, number, f"incident-{incident}:{number}:1", "rollback", TARGET)


async def test_what_is_new_is_told_once_whoever_wrote_it(store: Store) -> None:
    def fact(key: str) -> Fact:
        return Fact(key, T0, Phase.DETECTION, Kind.ALERT_FIRING, "It fires.")

    async with store.transaction() as tx:
        first, second = await opened(tx), await opened(tx, OTHER)
        await tx.timeline.add(first, fact("old"))
        mark = await tx.changes.mark()
        assert await tx.changes.since(mark) == News(mark, frozenset(), switched=False)
        await tx.timeline.add(second, fact("new"))
        news = await tx.changes.since(mark)
        assert news.incidents == {second}
        await tx.steps.put(replace(a_step(first), intent_at=minutes(1)))
        await tx.switches.set("kill", Switch(on=True, by="ann", at=minutes(2)))
        later = await tx.changes.since(news.mark)
        assert later.incidents == {first}
        assert later.switched
        assert (await tx.changes.since(later.mark)).incidents == frozenset()


async def test_runs_and_unfinished_steps_of_several_incidents_come_at_once(store: Store) -> None:
    async with store.transaction() as tx:
        first, second = await opened(tx), await opened(tx, OTHER)
        runs = [
            await tx.runs.create(number, RUNBOOK, TARGET, "ann", T0) for number in (second, first)
        ]
        ended = replace(a_step(first), outcome=Outcome.DONE)
        for step in (ended, a_step(first, 2), a_step(second)):
            await tx.steps.put(step)
        assert await tx.runs.of_incidents([first, second]) == runs[::-1]
        assert await tx.runs.of_incidents([second]) == runs[:1]
        assert await tx.runs.of_incidents([]) == []
        unfinished = await tx.steps.unfinished_of([first, second])
        assert unfinished == [a_step(first, 2), a_step(second)]


async def test_a_session_is_in_force_until_its_end_or_until_somebody_ends_it(
    store: Store,
) -> None:
    ann, bob = (Session(number, "ops", T0, minutes(10)) for number in ("1a", "2b"))
    async with store.transaction() as tx:
        for session in (ann, bob):
            await tx.sessions.begin(session)
        assert await tx.sessions.in_force(minutes(9), 10) == [ann, bob]
        assert await tx.sessions.end("1a", "root")
        assert not await tx.sessions.end("1a", "root")
        assert await tx.sessions.get("1a", minutes(9)) is None
        assert await tx.sessions.get("2b", minutes(9)) == bob
        assert await tx.sessions.get("2b", minutes(10)) is None
        await tx.sessions.forget(minutes(11))
        assert await tx.sessions.get("2b", minutes(9)) is None
