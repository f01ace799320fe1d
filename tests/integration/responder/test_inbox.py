"""What happens to a delivery that our own code cannot work on."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from exporter.shared.kube import Pod
from responder.domain.policy import GateConfig, Level, Policy, TargetRule
from responder.engine import deliveries
from responder.store.database import Store
from responder.store.inbox import NewDelivery
from tests.bed.services import without_a_world

LEVEL_1 = Level(timedelta(0), ("oncall-pager",))
OWNER = TargetRule("workload", "$workload_type", "$namespace", "$workload", owner_of_pod=True)


class Broken:
    """A reader with a mistake in it."""

    async def pod(self, namespace: str, name: str) -> Pod | None:
        raise KeyError(namespace, name)


def delivery(**labels: str) -> NewDelivery:
    now = SystemClock().now()
    alert = {
        "status": "firing",
        "labels": labels,
        "startsAt": now.isoformat(),
        "fingerprint": f"{len(labels):016x}",
    }
    return NewDelivery(now, "test", json.dumps({"version": "4", "alerts": [alert]}).encode())


async def test_a_delivery_that_breaks_our_code_holds_up_nothing_and_ends_as_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "RETRY", -deliveries.RETRY)  # due again at once
    store = await Store.open(f"sqlite:///{tmp_path / 'responder.db'}", migrate=True)
    try:
        policy = Policy({"workload": OWNER}, (), {"default": (LEVEL_1,)}, GateConfig())
        ours = without_a_world(store, policy, kube=Broken())
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
