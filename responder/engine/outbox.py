"""Outbox → notifiers: every message is delivered at least once, under the same key every time."""

import asyncio
from datetime import datetime, timedelta

from exporter.shared.errors import PermanentError, TransientError
from responder.domain.timeline import Fact, Kind, Phase
from responder.engine import messages
from responder.engine.services import Services
from responder.store.outbox import OutboxItem

BATCH = 20
FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=1)
GIVE_UP_AFTER = 200
"""Tries; with the longest retry that is more than three hours of a dead receiver."""


async def deliver_due(services: Services) -> int:
    """Send what is due, side by side; return how many were tried."""
    async with services.store.aside() as tx:
        items = await tx.outbox.claim(services.fleet.executor, BATCH, services.now())
    await services.fleet.hold()
    await asyncio.gather(*(_deliver(services, item) for item in items))
    return len(items)


async def _deliver(services: Services, item: OutboxItem) -> None:
    result, reason, wait = await _send(services, item)
    now = services.now()
    async with services.store.transaction() as tx:
        match result:
            case "sent":
                await tx.outbox.sent(item.id, now)
            case "retried":
                await tx.outbox.retry(item.id, reason, now + wait)
            case _:
                await tx.outbox.failed(item.id, reason, now)
                # It will not be tried again, so others must know.
                others = messages.on_call(services.policy, {item.receiver})
                page = messages.unreached(item.receiver, f"did not get a message: {reason}", now)
                await messages.queue(tx, others, page, now)
        if result != "retried" and item.notification.incident_id:
            await tx.timeline.add(item.notification.incident_id, _fact(item, reason, now))
    services.metrics.notifications.labels(item.receiver, result).inc()


async def _send(services: Services, item: OutboxItem) -> tuple[str, str, timedelta]:
    """Try once. Returns `sent`, `retried` or `failed`, why, and how long to wait."""
    receiver = services.receivers.get(item.receiver)
    if receiver is None:
        return "failed", f"no receiver is named {item.receiver!r}", timedelta(0)
    try:
        await receiver.spec.notifier.send(receiver.settings, item.notification, services.http)
    except TransientError as error:
        if item.attempts + 1 >= GIVE_UP_AFTER:
            return "failed", str(error), timedelta(0)
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(item.attempts, 10))
        return "retried", str(error), error.retry_after or wait
    except PermanentError as error:
        return "failed", str(error), timedelta(0)
    return "sent", "", timedelta(0)


def _fact(item: OutboxItem, problem: str, at: datetime) -> Fact:
    message = item.notification
    ended = f"could not be told: {problem}" if problem else f"got the {message.kind}"
    return Fact(
        key=f"outbox:{item.key}",
        at=at,
        phase=Phase.RESOLUTION if message.kind == "resolve" else Phase.INVESTIGATION,
        kind=Kind.NOTIFIED,
        text=f"{item.receiver} {ended} (level {message.level}).",
        facts={"receiver": item.receiver, "kind": message.kind, "level": message.level},
    )
