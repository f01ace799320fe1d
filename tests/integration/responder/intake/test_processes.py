"""The webhook in a process of its own: killed, stopped, and fed by a real Alertmanager."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp

from exporter.shared.clock import SystemClock
from responder.domain.alert import AlertStatus
from responder.engine.envelope import decode_delivery
from responder.store.database import Store
from tests.bed.alertmanager import Alertmanager
from tests.bed.process import Process, wait_until
from tests.integration.responder.intake.conftest import GOOD, Receiver


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[Process, str]]:
    """Run the bench's server; yield it with the webhook's address."""
    port = folder / "port"

    async def ready() -> bool:
        return port.exists()

    argv = [sys.executable, "-m", "tests.bench.webhook_server", str(folder)]
    log = folder / "server.log"
    async with await Process.start(argv, log=log, name="webhook", ready=ready) as process:
        yield process, f"http://127.0.0.1:{port.read_text()}/api/v1/alerts"


async def stored(folder: Path) -> list[bytes]:
    """Open the store that a process left behind; return the bodies in its inbox."""
    store = await Store.open(f"sqlite:///{folder / 'responder.db'}", migrate=False)
    async with store.reading() as tx:
        bodies = [item.body for item in await tx.inbox.pending(100_000)]
    await store.close()
    return bodies


async def test_a_kill_loses_nothing_that_was_answered_with_200(tmp_path: Path) -> None:
    answered: set[bytes] = set()

    async def deliver(session: aiohttp.ClientSession, url: str, caller: int) -> None:
        for number in range(10_000):
            body = GOOD.replace(b"2bf80ebe93a0c1a6", b"%08x%08x" % (caller, number))
            async with session.post(url, data=body) as answer:
                if answer.status == 200:
                    answered.add(body)

    async def enough() -> bool:
        return len(answered) > 100

    async with server(tmp_path) as (process, url), aiohttp.ClientSession() as session:
        callers = [asyncio.create_task(deliver(session, url, caller)) for caller in range(8)]
        await wait_until(enough, 10, "a hundred deliveries are answered")
        process.kill()
        ends = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError) for end in ends)
    assert answered <= set(await stored(tmp_path))


async def test_sigterm_ends_the_process_and_no_thread_keeps_it(tmp_path: Path) -> None:
    async with server(tmp_path) as (process, url), aiohttp.ClientSession() as session:
        async with session.post(url, data=GOOD) as answer:
            assert answer.status == 200
        os.kill(process.pid, 15)
        assert await process.wait(5) == 0
    assert await stored(tmp_path) == [GOOD]


async def test_a_real_alertmanager_delivers_firing_and_resolved(
    receiver: Receiver, tmp_path: Path
) -> None:
    config = {
        "route": {
            "receiver": "responder.default",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
        },
        "receivers": [
            {"name": "responder.default", "webhook_configs": [{"url": receiver.url}]},
        ],
    }
    now = SystemClock().now()
    alert = {
        "labels": {"alertname": "KpiErrorRatioHigh", "namespace": "default"},
        "annotations": {"summary": "20 % fail"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }

    async def deliveries() -> list[bytes]:
        return [item.body for item in await receiver.inbox()]

    async with Alertmanager.start(tmp_path, config) as alertmanager:
        await alertmanager.post_alerts([alert])
        await wait_until(deliveries, 10, "the alert is delivered")
        await alertmanager.post_alerts([{**alert, "endsAt": SystemClock().now().isoformat()}])

        async def both() -> bool:
            return len(await deliveries()) >= 2

        await wait_until(both, 10, "the resolve is delivered")
    first, second = [decode_delivery(body) for body in (await deliveries())[:2]]
    assert first.receiver == "responder.default"
    assert [one.status for one in first.alerts] == [AlertStatus.FIRING]
    assert [one.status for one in second.alerts] == [AlertStatus.RESOLVED]
    assert second.alerts[0].fingerprint == first.alerts[0].fingerprint
    assert second.alerts[0].ends_at is not None
    assert await receiver.dead_letters() == []
    assert json.loads((await deliveries())[0])["version"] == "4"
