"""Deliveries that could not be worked on are kept, counted, and told to people."""

import hashlib
from datetime import datetime

from responder.domain.dead_letter import Unusable
from responder.engine import messages
from responder.engine.services import Services
from responder.store.database import Transaction
from responder.store.inbox import InboxItem

HEAD = 64 * 1024
"""Bytes kept of a dead letter, beside its size and hash."""


async def keep(
    services: Services, tx: Transaction, item: InboxItem, why: Unusable, at: datetime
) -> None:
    """Keep a delivery that was accepted and then turned out not to be ours or not readable."""
    digest = hashlib.sha256(item.body).hexdigest()
    await tx.dead_letters.add(at, item.source, str(why), len(item.body), digest, item.body[:HEAD])
    services.metrics.dead_letters.labels(why.reason.value).inc()
    await tell(services, tx, why, at)


async def tell(services: Services, tx: Transaction, why: Unusable, at: datetime) -> None:
    """Page once an hour and reason: Alertmanager repeats what it could not deliver."""
    message = messages.audit(
        f"dead-letter:{why.reason.value}:{at:%Y-%m-%dT%H}",
        f"A delivery from Alertmanager was not understood ({why.reason.value})",
        f"It is kept as a dead letter. Reason: {why}. Alerts in it opened no incident.",
    )
    await messages.queue(tx, messages.on_call(services.policy), message, at)


async def tell_truncated(
    services: Services, tx: Transaction, cut: int, problem: str, at: datetime
) -> None:
    """Count the alerts that were cut off, and page once an hour if some may still be unknown."""
    services.metrics.alerts_truncated.inc(cut)
    if not problem:
        return
    message = messages.audit(
        f"truncated:{at:%Y-%m-%dT%H}",
        "Alertmanager cuts alerts off",
        f"A delivery left out {cut} alerts, and not all of them opened an incident: {problem}. "
        "Set max_alerts: 0 in its webhook_configs.",
    )
    await messages.queue(tx, messages.on_call(services.policy), message, at)
