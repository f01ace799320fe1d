"""What happens to a delivery that our own code cannot work on."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from exporter.shared.kube import Pod
from responder.domain.policy import GateConfig, Level, Policy, TargetRule
from responder.domain.reconciliation import Asked
from responder.engine import deliveries, reconciliation
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


async def test_one_that_hangs_is_waited_for_once_by_all_that_was_cut_off(tmp_path: Path) -> None:
    pauses: list[timedelta] = []
    clock = FakeClock()
    hanging = Hanging(clock)

    async def between(pause: timedelta) -> None:
        pauses.append(pause)
        clock.advance(reconciliation.FRESH.total_seconds())  # others are slow

    store = await Store.open(f"sqlite:///{tmp_path / 'responder.db'}", migrate=True)
    try:
        ours = without_a_world(store, POLICY, alertmanagers=hanging, clock=clock)
        async with store.transaction() as tx:
            await tx.inbox.append(delivery(cut=2, alertname="A"))
            await tx.inbox.append(delivery(cut=2, alertname="B", severity="info"))
            await tx.inbox.append(delivery(cut=2, alertname="C", severity="info", replica="c"))
            await tx.inbox.append(delivery())
        assert len(await deliveries.process_inbox(ours, between)) == 4
        assert hanging.asked == 1
        assert pauses == [deliveries.BREATH]
        clock.advance(reconciliation.RETRY.total_seconds())
        await deliveries.process_inbox(ours, between)
        assert hanging.asked == 2, "a later try asks anew"
    finally:
        await store.close()


def delivery(cut: int = 0, **labels: str) -> NewDelivery:
    now = SystemClock().now()
    alert = {
        "status": "firing",
        "labels": labels,
        "startsAt": now.isoformat(),
        "fingerprint": f"{len(labels):016x}",
    }
    body = {"version": "4", "truncatedAlerts": cut, "alerts": [alert]}
    return NewDelivery(now, "test", json.dumps(body).encode())


async def test_a_delivery_that_breaks_our_code_holds_up_nothing_and_ends_as_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "RETRY", -deliveries.RETRY)  # due again at once
    store = await Store.open(f"sqlite:///{tmp_path / 'responder.db'}", migrate=True)
    try:
        ours = without_a_world(store, POLICY, kube=Broken())
        async with store.transaction() as tx:
            await tx.inbox.append(delivery(alertname="A", namespace="default", pod="web-1"))
            await tx.inbox.append(delivery(alertname="B"))
        assert len(await deliveries.process_inbox(ours)) == 1
        for _ in range(deliveries.LAST_TRY):
            assert await deliveries.process_inbox(ours) == set()
        async with store.transaction() as tx:
            assert await tx.inbox.depth() == 0
            assert await tx.dead_letters.count() == 1
            pages = await tx.outbox.claim("local", 10, SystemClock().now())
        assert [page.receiver for page in pages] == ["oncall-pager"]
        assert "failed: KeyError" in pages[0].notification.text
    finally:
        await store.close()
