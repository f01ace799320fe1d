"""Leases, what is claimed under them, and what a replica without one may still write."""

import asyncio
from typing import NoReturn, cast

import pytest

from responder.store.append import Driver, PostgresAppender
from responder.store.database import Store
from responder.store.inbox import NewDelivery
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.integration.responder.store.conftest import T0, an_incident, minutes
from tests.integration.responder.store.test_queues import PAGE


class LeftError(Exception):
    """Stands for the end of the process."""


def leave() -> NoReturn:
    raise LeftError


async def test_a_lease_is_renewed_until_it_is_evicted(store: Store) -> None:
    async with store.aside() as tx:
        await tx.leases.take("b", minutes(1))
        await tx.leases.take("a", T0)
        assert await tx.leases.renew("a", minutes(2))
        assert list((await tx.leases.all()).items()) == [("a", 1), ("b", 0)]
        assert not await tx.leases.evict("a", 0)  # it was renewed since
        assert await tx.leases.evict("a", 1)
        assert not await tx.leases.renew("a", minutes(3))
        await tx.leases.give_back("b")
        assert await tx.leases.all() == {}


async def test_what_one_claimed_no_other_gets_while_its_lease_is_held(store: Store) -> None:
    async with store.transaction() as tx:
        for executor in ("a", "b"):
            await tx.leases.take(executor, T0)
        ids = [await tx.inbox.append(NewDelivery(T0, "am", b"")) for _ in range(3)]
        await tx.outbox.add("k", "mail", PAGE, T0)
    async with store.aside() as tx:
        assert [item.id for item in await tx.inbox.claim("a", 2, T0)] == ids[:2]
        assert [item.key for item in await tx.outbox.claim("a", 2, T0)] == ["k"]
    async with store.aside() as tx:
        assert [item.id for item in await tx.inbox.claim("b", 9, T0)] == ids[2:]
        assert await tx.outbox.claim("b", 9, T0) == []
        assert [item.id for item in await tx.inbox.claim("a", 9, T0)] == ids[:2]
        await tx.leases.give_back("a")
        assert [item.id for item in await tx.inbox.claim("b", 9, T0)] == ids
        assert [item.key for item in await tx.outbox.claim("b", 9, T0)] == ["k"]


async def test_two_that_claim_at_once_get_different_rows(postgres_url: str) -> None:
    one, other = [await Store.open(postgres_url, migrate=True) for _ in range(2)]
    async with one.transaction() as tx:
        for executor in ("a", "b"):
            await tx.leases.take(executor, T0)
        ids = [await tx.inbox.append(NewDelivery(T0, "am", b"")) for _ in range(20)]
    async with one.aside() as first, other.aside() as second:
        got = [item.id for item in await first.inbox.claim("a", 10, T0)]
        rest = [item.id for item in await second.inbox.claim("b", 20, T0)]
    await asyncio.gather(one.close(), other.close())
    assert (got, rest) == (ids[:10], ids[10:])


async def test_who_lost_its_lease_writes_nothing_more(store: Store) -> None:
    async with store.aside() as tx:
        await tx.leases.take("a", T0)
    store.fence("a", leave)
    async with store.transaction() as tx:
        await tx.incidents.open(an_incident())
    async with store.aside() as tx:
        await tx.leases.give_back("a")
    with pytest.raises(LeftError):
        async with store.transaction() as tx:
            await tx.incidents.told(1, 3)
    async with store.reading() as tx:
        incident = await tx.incidents.get(1)
    assert incident is not None
    assert incident.told_level == 0


async def test_writers_of_several_replicas_follow_one_another(postgres_url: str) -> None:
    async def raise_level(store: Store) -> None:
        for _ in range(10):
            async with store.transaction() as tx:
                incident = await tx.incidents.get(1)
                assert incident is not None
                await tx.incidents.told(1, incident.told_level + 1)

    stores = [await Store.open(postgres_url, migrate=True) for _ in range(3)]
    async with stores[0].transaction() as tx:
        await tx.incidents.open(an_incident())
    await asyncio.gather(*map(raise_level, stores))
    async with stores[0].reading() as tx:
        incident = await tx.incidents.get(1)
    await asyncio.gather(*(store.close() for store in stores))
    assert incident is not None
    assert incident.told_level == 30


async def test_a_replica_that_froze_inside_a_transaction_holds_the_others_up_for_a_while_only(
    postgres_url: str,
) -> None:
    frozen, other = [await Store.open(postgres_url, migrate=True) for _ in range(2)]
    inside = asyncio.Event()

    async def freeze() -> None:
        async with frozen.transaction() as tx:
            await tx.incidents.open(an_incident())
            inside.set()
            await asyncio.Event().wait()

    freezing = asyncio.create_task(freeze())
    await inside.wait()
    async with other.transaction() as tx:
        assert await tx.incidents.open_ids() == []
    freezing.cancel()
    await asyncio.gather(freezing, return_exceptions=True)
    await asyncio.gather(frozen.close(), other.close())


async def test_deliveries_are_stored_again_once_the_server_has_hung_up_and_is_back(
    postgres: Postgres, postgres_url: str
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    delivery = NewDelivery(T0, "alertmanager", b"{}")
    await store.inbox_append([delivery])
    await postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runbookd'"
    )

    async def heard() -> bool:
        assert isinstance(store._appender, PostgresAppender)
        kept = store._appender._kept
        assert kept is not None
        return cast("Driver", kept.driver_connection).is_closed()

    await wait_until(heard, 5, "the end of the connection is known")
    await store.inbox_append([delivery])
    async with store.reading() as tx:
        assert await tx.inbox.depth() == 2
    await store.close()
