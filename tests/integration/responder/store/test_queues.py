"""Inbox, outbox, dead letters and switches."""

from responder.contract import Notification
from responder.store.database import Store
from responder.store.inbox import NewDelivery
from responder.store.switches import Switch
from responder.store.types import QueueState
from tests.integration.responder.store.conftest import T0, minutes

PAGE = Notification(
    key="incident-1:L1",
    dedup_key="incident-1",
    kind="page",
    level=1,
    title="INC-1 KpiErrorRatioHigh",
    text="Level 1: open for 0 minutes.",
    severity="critical",
    incident_id=1,
    link="http://127.0.0.1:9843/api/v1/incidents/1/report",
    facts={"target": "deployment/default/task-manager", "levels": [1, 2], "ratio": 0.2},
)


async def test_the_inbox_gives_the_oldest_first_and_ends_each_once(store: Store) -> None:
    async with store.transaction() as tx:
        ids = [await tx.inbox.append(NewDelivery(minutes(n), "am", b"%d" % n)) for n in range(3)]
        assert [item.id for item in await tx.inbox.pending(2)] == ids[:2]
        await tx.inbox.done([ids[0]], minutes(5))
        await tx.inbox.failed(ids[1], "not_json: cut", minutes(5))
        assert await tx.inbox.depth() == 1
        assert await tx.inbox.oldest_pending() == minutes(2)
        [last] = await tx.inbox.pending(10)
        assert (last.received_at, last.source, last.body) == (minutes(2), "am", b"2")


async def test_an_item_put_off_lets_the_others_pass(store: Store) -> None:
    async with store.transaction() as tx:
        first, second = [await tx.inbox.append(NewDelivery(T0, "am", b"")) for _ in range(2)]
        await tx.inbox.retry_later(first, "the API server is away", minutes(1))
        assert [item.id for item in await tx.inbox.claim("a", 10, T0)] == [second]
        again = await tx.inbox.claim("a", 10, minutes(1))
        assert [(item.id, item.attempts) for item in again] == [(first, 1), (second, 0)]
        assert await tx.inbox.depth() == 2


async def test_an_empty_inbox_has_no_oldest(store: Store) -> None:
    async with store.reading() as tx:
        assert await tx.inbox.oldest_pending() is None


async def test_a_dead_letter_keeps_every_byte_it_was_given(store: Store) -> None:
    head = bytes(range(256)) * 256
    async with store.transaction() as tx:
        first = await tx.dead_letters.add(T0, "am", "not_json: x", 9, "ab", b"")
        second = await tx.dead_letters.add(T0, "am", "too_large: x", 2**33, "cd", head)
    async with store.reading() as tx:
        letters = await tx.dead_letters.list(10)
        assert await tx.dead_letters.count() == 2
    assert [letter.id for letter in letters] == [second, first]
    assert (letters[0].at, letters[0].size, letters[0].head) == (T0, 2**33, head)


async def test_a_message_is_queued_once_per_key_and_comes_back_whole(store: Store) -> None:
    async with store.transaction() as tx:
        assert await tx.outbox.add("incident-1:L1:mail", "mail", PAGE, T0)
        assert not await tx.outbox.add("incident-1:L1:mail", "mail", PAGE, minutes(1))
        [item] = await tx.outbox.claim("a", 10, T0)
    assert (item.key, item.receiver, item.attempts) == ("incident-1:L1:mail", "mail", 0)
    assert item.notification == PAGE


async def test_a_message_is_retried_no_sooner_than_said_and_then_sent(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.outbox.add("k", "mail", PAGE, T0)
        [item] = await tx.outbox.claim("a", 10, T0)
        await tx.outbox.retry(item.id, "503", minutes(2))
        assert await tx.outbox.claim("a", 10, minutes(1)) == []
        [again] = await tx.outbox.claim("a", 10, minutes(2))
        assert (again.attempts, again.error) == (1, "503")
        assert [one.id for one in await tx.outbox.stuck(minutes(1))] == [item.id]
        assert await tx.outbox.stuck(T0) == []
        await tx.outbox.sent(item.id, minutes(2))
        assert await tx.outbox.depth() == 0
        assert await tx.outbox.stuck(minutes(9)) == []
        [told] = await tx.outbox.of_incident(1)
        assert (told.state, told.ended_at) == (QueueState.DONE, minutes(2))


async def test_a_message_given_up_is_kept_with_its_reason(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.outbox.add("k", "mail", PAGE, T0)
        [item] = await tx.outbox.claim("a", 10, T0)
        await tx.outbox.failed(item.id, "no such mailbox", minutes(1))
        assert await tx.outbox.claim("a", 10, minutes(9)) == []
        [told] = await tx.outbox.of_incident(1)
    assert (told.state, told.error, told.attempts) == (QueueState.FAILED, "no such mailbox", 1)


async def test_a_switch_remembers_who_threw_it_last(store: Store) -> None:
    async with store.transaction() as tx:
        assert await tx.switches.get("kill") is None
        await tx.switches.set("kill", Switch(on=True, by="ann", at=T0))
        await tx.switches.set("kill", Switch(on=False, by="bob", at=minutes(1), reason="over"))
        switch = await tx.switches.get("kill")
    assert switch is not None
    assert switch == Switch(on=False, by="bob", at=minutes(1), reason="over")
