"""What no webhook tells is learned from a real Alertmanager's API, on both databases."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from exporter.shared.clock import SystemClock
from responder.domain.alert import AlertStatus
from responder.domain.episode import Episode
from responder.domain.policy import GateConfig, Level, Policy
from responder.domain.reconciliation import ABSENT_FOR, OURS_FOR, Memory
from responder.domain.values import Labels
from responder.engine.envelope import decode_delivery
from responder.engine.inbox import process_inbox
from responder.engine.reconciliation import SOURCE, TRIES, reconcile
from responder.engine.services import Services
from responder.gateways.alertmanager import AlertmanagerGateway
from tests.bed.alertmanager import Alertmanager
from tests.bed.process import wait_until
from tests.bed.services import without_a_world
from tests.integration.responder.intake.conftest import Receiver

pytestmark = pytest.mark.timeout(60)

POLICY = Policy({}, (), {"default": (Level(timedelta(0), ("oncall-pager",)),)}, GateConfig())
HOUR = timedelta(hours=1)


def just_now() -> datetime:
    """Return a start of alerts.

    It is so late that Alertmanager waits for the whole group before it tells of any, and its API
    tells of it without the microseconds, its webhook with them.
    """
    now = SystemClock().now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000 + 456)


class ShiftedClock(SystemClock):
    """The machine's clock, ahead by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    @override
    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Ground:
    """An Alertmanager, a receiver of its deliveries, and what works on them."""

    receiver: Receiver
    alertmanager: Alertmanager
    services: Services
    clock: ShiftedClock
    starts: datetime = field(default_factory=just_now)
    """Of every alert."""
    memory: Memory = field(default_factory=Memory)

    async def fires(self, *numbers: int) -> None:
        """Hand in alerts of one group, numbered."""
        await self.alertmanager.post_alerts([an_alert(number, self.starts) for number in numbers])

    async def is_over(self, number: int) -> None:
        """Hand in the end of one, and wait until the API lists it no more."""
        now = SystemClock().now()
        over = an_alert(number, self.starts) | {"endsAt": now.isoformat()}
        await self.alertmanager.post_alerts([over])

        async def gone() -> bool:
            listed = await self.alertmanager.alerts()
            return str(number) not in [alert.labels["number"] for alert in listed]

        await wait_until(gone, 10, f"alert {number} is listed no more")

    async def came(self, cut: int = 0) -> None:
        """Wait for a delivery that left out so many."""

        async def waits() -> bool:
            told = [decode_delivery(row.body) for row in await self.receiver.inbox()]
            return cut in [delivery.truncated for delivery in told]

        await wait_until(waits, 10, f"a delivery came that left out {cut}")

    async def delivered(self, cut: int = 0) -> None:
        """Wait for such a delivery and work on it."""
        await self.came(cut)
        await self.work()

    async def told_again(self) -> None:
        """Deliver by webhook once more that everything fires that is open, and work on it."""
        body = webhook(
            *((one.fingerprint, one.labels) for one in await episodes(self)), starts=self.starts
        )
        assert (await self.receiver.post(body))[0] == 200
        await self.work()

    async def work(self) -> None:
        await process_inbox(self.services)

    async def round(self) -> None:
        """Reconcile once, and work on what was found."""
        self.memory = await reconcile(self.services, self.memory)
        await self.work()

    async def open(self) -> list[str]:
        async with self.receiver.store.reading() as tx:
            found: Sequence[Episode] = await tx.episodes.open_of_cluster("default")
        return sorted(episode.labels["number"] for episode in found)

    async def said(self) -> list[str]:
        """Return every line of every timeline."""
        async with self.receiver.store.reading() as tx:
            lines = [
                await tx.timeline.of_incident(one.id) for one in await tx.incidents.list(None, 100)
            ]
        return [fact.text for facts in lines for fact in facts]

    async def pages(self) -> list[str]:
        """Return the texts that would be sent to people."""
        async with self.receiver.store.transaction() as tx:
            sent = await tx.outbox.claim("local", 100, self.clock.now())
        return [message.notification.text for message in sent]

    def counted(self, metric: str, **labels: str) -> float | None:
        return self.services.metrics.registry.get_sample_value(f"responder_{metric}", labels)


def an_alert(number: int, starts: datetime) -> dict[str, object]:
    labels = {"alertname": "Cut", "namespace": "default", "number": str(number)}
    return {
        "labels": labels,
        "startsAt": starts.isoformat(),
        "endsAt": (SystemClock().now() + HOUR).isoformat(),
    }


def webhook(*alerts: tuple[str, Labels], starts: datetime) -> bytes:
    """Return a delivery of what fires: fingerprint and labels of each; its start has all digits."""
    told = [
        {
            "status": "firing",
            "labels": dict(labels),
            "startsAt": starts.isoformat(),
            "fingerprint": fingerprint,
        }
        for fingerprint, labels in alerts
    ]
    return json.dumps({"version": "4", "receiver": "web.dot", "alerts": told}).encode()


@asynccontextmanager
async def ground(receiver: Receiver, root: Path, **hook: object) -> AsyncIterator[Ground]:
    """Run an Alertmanager that delivers to `receiver` in its own way."""
    url = {"url": receiver.url}
    config: Mapping[str, object] = {
        "route": {
            "receiver": "web.dot",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "1s",
        },
        "receivers": [{"name": "web.dot", "webhook_configs": [url | hook]}],
    }
    async with Alertmanager.start(root, config) as server:
        gateway = AlertmanagerGateway([server.url], deadline=timedelta(seconds=2))
        clock = ShiftedClock()
        services = without_a_world(receiver.store, POLICY, alertmanagers=gateway, clock=clock)
        try:
            yield Ground(receiver, server, services, clock)
        finally:
            await gateway.close()


async def test_what_a_delivery_left_out_is_learned_with_it_and_nobody_is_paged(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with ground(receiver, tmp_path, max_alerts=1) as on:
        await on.fires(1, 2, 3)
        await on.delivered(cut=2)
        assert await on.open() == ["1", "2", "3"]
        cut = [line for line in await on.said() if line.endswith("its webhook had been cut off.")]
        assert len(cut) == 2
        assert await on.pages() == []
        assert on.counted("alerts_reconciled_total", status="firing") == 2
        assert on.counted("alerts_truncated_total") == 2
        # The webhook tells the same start in full, which is no refire.
        before = len(await on.said())
        await on.told_again()
        assert len(await on.said()) == before


async def episodes(on: Ground) -> list[Episode]:
    async with on.receiver.store.reading() as tx:
        return await tx.episodes.open_of_cluster("default")


async def test_an_end_that_no_webhook_tells_is_learned_and_a_silence_is_none(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with ground(receiver, tmp_path, send_resolved=False) as on:
        await on.fires(1, 2)
        await on.delivered()
        assert await on.open() == ["1", "2"]
        await on.round()
        assert {episode.held_by for episode in await episodes(on)} == {on.alertmanager.url}
        await silence(on.alertmanager, "2")
        await on.is_over(1)
        await on.round()
        on.clock.ahead = ABSENT_FOR
        await on.round()
        assert await on.open() == ["1", "2"], "the server has not run for long enough"
        on.clock.ahead = HOUR
        await on.round()
        assert await on.open() == ["1", "2"], "absent for too short a time"
        on.clock.ahead = HOUR + ABSENT_FOR
        await on.round()
        assert await on.open() == ["2"]
        assert "Cut resolved. Learned from Alertmanager's API: no webhook had told of it." in (
            await on.said()
        )
        assert on.counted("alerts_reconciled_total", status="resolved") == 1
        await on.is_over(2)
        on.clock.ahead = 2 * HOUR
        await on.round()
        await on.alertmanager.stop()
        on.clock.ahead = 3 * HOUR
        await on.round()
        assert await on.open() == ["2"], "nobody answers"
        assert on.counted("reconciliations_total", answered="none") == 1
        assert on.counted("alertmanager_failures_total", reason="away") == 1


async def silence(server: Alertmanager, number: str) -> None:
    now = SystemClock().now()
    matcher = {"name": "number", "value": number, "isRegex": False, "isEqual": True}
    wanted = {"matchers": [matcher], "createdBy": "test", "comment": "planned"}
    wanted |= {"startsAt": now.isoformat(), "endsAt": (now + HOUR).isoformat()}
    async with server.session.post("/api/v2/silences", json=wanted) as answer:
        assert answer.ok

    async def silenced() -> bool:
        states = {alert.labels["number"]: alert.status.state for alert in await server.alerts()}
        return states[number] == "suppressed"

    await wait_until(silenced, 10, f"alert {number} is silenced")


async def test_a_firing_that_never_came_is_taken_in_once_the_webhook_has_had_its_time(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with ground(receiver, tmp_path) as on:
        await on.fires(1)
        await on.delivered()
        async with receiver.store.transaction() as tx:
            (one,) = await tx.episodes.open_of_cluster("default")
            await tx.episodes.end(one.id, one.starts_at)  # as if it had never been
        on.clock.ahead = HOUR  # the server has run for long enough
        on.memory = await reconcile(on.services, on.memory)
        (row,) = await receiver.inbox()
        assert row.source == SOURCE
        delivery = decode_delivery(row.body)
        assert [alert.status for alert in delivery.alerts] == [AlertStatus.FIRING]
        before = on.memory
        on.memory = await reconcile(on.services, on.memory)
        assert (on.memory, len(await receiver.inbox())) == (before, 1)
        await on.work()
        assert await on.open() == ["1"]
        assert [one.receiver for one in await episodes(on)] == [""]
        await on.told_again()
        assert [one.receiver for one in await episodes(on)] == ["web.dot"]


async def test_what_is_only_learned_is_no_sign_that_its_receiver_still_delivers_here(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with ground(receiver, tmp_path, url="http://127.0.0.1:1") as on:  # to somebody else
        assert (await receiver.post(webhook(("0" * 16, {"number": "0"}), starts=on.starts)))[
            0
        ] == 200
        await on.work()
        await on.fires(1)
        on.clock.ahead = HOUR
        await on.round()
        assert await on.open() == ["0", "1"], "within a week it may be ours"
        await on.fires(2)
        on.clock.ahead = OURS_FOR + HOUR / 2
        await on.round()
        assert await on.open() == ["0", "1"]


async def test_an_end_that_is_inferred_overrules_no_firing_that_was_told_since(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with ground(receiver, tmp_path, send_resolved=False) as on:
        await on.fires(1)
        await on.delivered()
        await on.round()
        await on.is_over(1)
        for ahead in (HOUR, HOUR + ABSENT_FOR):
            on.clock.ahead = ahead
            on.memory = await reconcile(on.services, on.memory)
        (row,) = await receiver.inbox()
        assert decode_delivery(row.body).alerts[0].status is AlertStatus.RESOLVED
        async with receiver.store.transaction() as tx:  # it waits, and a webhook overtakes it
            await tx.inbox.retry_later(row.id, "", on.clock.now() + ABSENT_FOR)
        await on.told_again()
        assert await receiver.inbox() != []
        on.clock.ahead += ABSENT_FOR
        await on.work()
        assert (await receiver.inbox(), await on.open()) == ([], ["1"])
        for ahead in (2 * HOUR, 2 * HOUR + ABSENT_FOR):
            assert await on.open() == ["1"]
            on.clock.ahead = ahead
            await on.round()
        assert await on.open() == [], "it stays away"


async def test_what_nobody_can_be_asked_for_is_asked_again_and_then_paged(
    on_file: Receiver, tmp_path: Path
) -> None:
    async with ground(on_file, tmp_path, max_alerts=1) as on:
        await on.fires(1, 2, 3)
        await on.came(cut=2)
        await on.alertmanager.stop()
        for tried in range(1, TRIES + 1):
            assert await on_file.inbox(), f"it waits for try {tried}"
            assert await on.pages() == []
            await on.work()
            assert len(await on.open()) == 1, "what it did hold is known at once"
            on.clock.ahead += timedelta(minutes=1)
        assert await on_file.inbox() == []
        (page,) = await on.pages()
        assert "left out 2 alerts" in page
        assert "away: " in page
