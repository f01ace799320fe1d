"""How deliveries are worked on together, and what happens to one that breaks our own code."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from exporter.shared.clock import SystemClock
from exporter.shared.kube import Pod
from responder.domain.matchers import Matcher, MatchOp
from responder.domain.policy import GateConfig, Level, Mode, Policy, Runbook, TargetRule
from responder.domain.reconciliation import Asked
from responder.engine import inbox, reconciliation
from responder.store.database import Store
from responder.store.inbox import NewDelivery
from tests.bed.services import without_a_world
from tests.fake_clients import FakeClock

LEVEL_1 = Level(timedelta(0), ("oncall-pager",))
OWNER = TargetRule("workload", "$workload_type", "$namespace", "$workload", owner_of_pod=True)
POLICY = Policy({"workload": OWNER}, (), {"default": (LEVEL_1,)}, GateConfig())


class Broken:
    """A reader with a mistake in it."""

    async def pod(self, namespace: str, name: str) -> Pod | None:
        raise KeyError(namespace, name)


class Hanging:
    """An Alertmanager that takes a question and never answers it."""

    urls = ("http://alertmanager",)

    def __init__(self, clock: FakeClock) -> None:
        self.asked = 0
        self._clock = clock

    async def ask(self, *, by_group: bool = False) -> Asked:
        assert by_group
        self.asked += 1
        self._clock.advance(5)
        return Asked((), {self.urls[0]: "away: TimeoutError"})


class BrokenLevels(dict[str, tuple[Level, ...]]):
    """Levels of escalation with a mistake in them, where one is asked for that is not there."""

    @override
    def get(self, name: str, default: object = None, /) -> tuple[Level, ...]:
        return self[name]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path / 'responder.db'}", migrate=True)
    yield opened
    await opened.close()


def delivery(
    fingerprint: int = 0,
    begun: datetime | None = None,
    ended: datetime | None = None,
    cut: int = 0,
    **labels: str,
) -> NewDelivery:
    now = SystemClock().now()
    alert = {
        "status": "resolved" if ended else "firing",
        "labels": labels,
        "startsAt": (begun or now).isoformat(),
        "endsAt": ended.isoformat() if ended else "",
        "fingerprint": f"{fingerprint:016x}",
    }
    body = {"version": "4", "truncatedAlerts": cut, "alerts": [alert]}
    return NewDelivery(now, "test", json.dumps(body).encode())


async def test_a_delivery_that_breaks_our_code_holds_up_nothing_and_ends_as_a_dead_letter(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "RETRY", -inbox.RETRY)  # due again at once
    ours = without_a_world(store, POLICY, kube=Broken())
    async with store.transaction() as tx:
        await tx.inbox.append(delivery(1, alertname="A", namespace="default", pod="web-1"))
        await tx.inbox.append(delivery(2, alertname="B"))
    assert len(await inbox.process_inbox(ours)) == 1
    for _ in range(inbox.LAST_TRY):
        assert await inbox.process_inbox(ours) == set()
    async with store.transaction() as tx:
        assert await tx.inbox.depth() == 0
        assert await tx.dead_letters.count() == 1
        pages = await tx.outbox.claim("local", 10, SystemClock().now())
    assert [page.receiver for page in pages] == ["oncall-pager"]
    assert "failed: KeyError" in pages[0].notification.text


async def test_rows_that_wait_share_transactions_and_a_pause_is_made_between_two(
    store: Store,
) -> None:
    pauses: list[timedelta] = []

    async def pause(spent: timedelta) -> None:
        pauses.append(spent)

    async with store.transaction() as tx:
        for number in range(2 * inbox.TOGETHER + 1):
            await tx.inbox.append(delivery(number, alertname=f"A{number}"))
    touched = await inbox.process_inbox(without_a_world(store, POLICY), pause)
    assert len(touched) == 2 * inbox.TOGETHER + 1
    assert len(pauses) == 2
    assert all(pauses)


async def test_alerts_of_one_fingerprint_keep_their_order_within_a_transaction(
    store: Store,
) -> None:
    began = SystemClock().now()
    ends = [began + timedelta(seconds=number) for number in range(3)]
    async with store.transaction() as tx:
        await tx.inbox.append(delivery(begun=ends[0], alertname="A"))
        await tx.inbox.append(delivery(begun=ends[0], ended=ends[1], alertname="A"))
        await tx.inbox.append(delivery(begun=ends[2], alertname="A"))
    [incident] = await inbox.process_inbox(without_a_world(store, POLICY))
    async with store.reading() as tx:
        first, second = await tx.episodes.of_incident(incident)
    assert (first.starts_at, first.ended_at) == (ends[0], ends[1])
    assert (second.starts_at, second.ended_at) == (ends[2], None)


async def test_one_row_that_cannot_be_written_holds_up_none_that_it_shares_a_transaction_with(
    store: Store,
) -> None:
    ours = without_a_world(store, POLICY)
    only_b = (Matcher("alertname", MatchOp.EQUAL, "B"),)
    runbook = Runbook("b", only_b, "workload", Mode.ACT, (), escalation="broken")
    levels = BrokenLevels({"default": (LEVEL_1,)})
    ours = replace(ours, policy=replace(ours.policy, runbooks=(runbook,), escalation=levels))
    async with store.transaction() as tx:
        for number, name in enumerate("ABC"):
            await tx.inbox.append(delivery(number, alertname=name))
    assert len(await inbox.process_inbox(ours)) == 2
    async with store.reading() as tx:
        [left] = await tx.inbox.pending(10)
    assert b'"B"' in left.body
    assert left.attempts == 1


async def test_a_row_that_has_to_ask_the_cluster_holds_up_none_before_it(store: Store) -> None:
    asked: list[tuple[str, str, int]] = []

    class Slow:
        async def pod(self, namespace: str, name: str) -> Pod | None:
            async with store.reading() as tx:
                asked.append((namespace, name, await tx.inbox.depth()))
            return None

    async with store.transaction() as tx:
        await tx.inbox.append(delivery(1, alertname="A"))
        await tx.inbox.append(delivery(alertname="B", namespace="default", pod="web-1"))
    ours = without_a_world(store, POLICY, kube=Slow())
    assert len(await inbox.process_inbox(ours)) == 2
    assert asked == [("default", "web-1", 1)]


async def test_one_that_hangs_is_waited_for_once_by_all_that_was_cut_off(store: Store) -> None:
    clock = FakeClock()
    hanging = Hanging(clock)

    async def between(_spent: timedelta) -> None:
        clock.advance(reconciliation.FRESH.total_seconds())  # others are slow

    ours = without_a_world(store, POLICY, alertmanagers=hanging, clock=clock)
    async with store.transaction() as tx:
        await tx.inbox.append(delivery(1, cut=2, alertname="A"))
        await tx.inbox.append(delivery(2, cut=2, alertname="B", severity="info"))
        await tx.inbox.append(delivery(3, cut=2, alertname="C", severity="info", replica="c"))
        await tx.inbox.append(delivery(4))
    assert len(await inbox.process_inbox(ours, between)) == 4
    assert hanging.asked == 1
    clock.advance(reconciliation.RETRY.total_seconds())
    await inbox.process_inbox(ours, between)
    assert hanging.asked == 2, "a later try asks anew"
