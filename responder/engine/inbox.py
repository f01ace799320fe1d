"""Works through the inbox: rows are read one by one, and written some together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from exporter.shared.errors import RunbookdError, TransientError
from exporter.shared.log import get_log
from responder.domain.alert import Alert
from responder.domain.dead_letter import DeadLetterReason, Unusable
from responder.engine import dead_letters, reconciliation
from responder.engine.deliveries import Ahead, Aimed, aim, apply
from responder.engine.envelope import MalformedDeliveryError, decode_delivery
from responder.engine.services import Services
from responder.store.database import StoreUnavailableError
from responder.store.inbox import InboxItem

log = get_log(__name__)

BATCH = 50
"""Inbox rows claimed at once; more are left to other replicas."""

OWNER_TRIES = 4
"""How often the owner of a pod is asked for while the API server is away; then the incident opens
on the pod itself and only escalates, because people must not wait for a walk."""

LAST_TRY = 4
"""Attempts after which a delivery that breaks our own code becomes a dead letter."""

RETRY = timedelta(seconds=2)

TOGETHER = 10
"""Alerts that share a transaction where more rows wait: each transaction holds up the webhook's
own, and each statement all else."""

Pause = Callable[[timedelta], Awaitable[None]]
T = TypeVar("T")


async def go_on(_spent: timedelta) -> None:
    """Make no pause."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was read: all that is known before anything is written."""

    item: InboxItem
    aimed: list[Aimed]
    foreign: str
    """Names of other clusters that it tells of."""
    truncated: int
    rest: reconciliation.CutOff


async def process_inbox(services: Services, between: Pause = go_on) -> set[int]:
    """Work through what is in the inbox, oldest first; return the incidents touched.

    `between` two transactions is awaited with the time that the one before took.

    A row is done in the same transaction as what it led to, so a crash repeats it and a repeat
    changes nothing.
    """
    async with services.store.aside() as tx:
        items = await tx.inbox.claim(services.fleet.executor, BATCH, services.now())
    rows = _Rows(services, between, reconciliation.Asking(services))
    for item in items:
        await rows.add(item)
    await rows.write()
    return rows.touched


@dataclass(slots=True)
class _Rows:
    """Rows on their way from the inbox to incidents."""

    services: Services
    between: Pause
    asking: reconciliation.Asking
    touched: set[int] = field(default_factory=set)
    _read: list[_Row] = field(default_factory=list)
    _spent: timedelta = timedelta(0)

    async def add(self, item: InboxItem) -> None:
        """Read one, and write when there are enough."""
        work = _read(self.services, item, self.asking, self.write)
        row = await _unless_broken(self.services, item, work)
        if row is not None:
            self._read.append(row)
        if sum(max(1, len(row.aimed)) for row in self._read) >= TOGETHER:
            await self.write()

    async def write(self) -> None:
        """Write those that were read."""
        rows, self._read = self._read, []
        if not rows:
            return
        if self._spent:
            await self.between(self._spent)
        began = self.services.clock.monotonic()
        self.touched |= await _write_all(self.services, rows)
        self._spent = timedelta(seconds=self.services.clock.monotonic() - began)


async def _write_all(services: Services, rows: list[_Row]) -> set[int]:
    """Write rows together; where that fails, each by itself, so that one holds up no other."""
    if len(rows) > 1:
        try:
            return await _write(services, rows)
        except StoreUnavailableError:
            raise
        except Exception:  # one of them breaks our code, or the database refuses it
            log.exception("deliveries_parted", rows=len(rows))
    touched: set[int] = set()
    for row in rows:
        touched |= await _unless_broken(services, row.item, _write(services, [row])) or set()
    return touched


async def _unless_broken(services: Services, item: InboxItem, work: Awaitable[T]) -> T | None:
    """Do the work for one row; our own mistake must not hold up the alerts behind it."""
    try:
        return await work
    except RunbookdError:  # the store is away: nothing behind it would fare better
        raise
    except Exception as error:
        log.exception("delivery_failed", inbox=item.id, attempts=item.attempts)
        why = Unusable(DeadLetterReason.FAILED, type(error).__name__)
        await _later_or_never(services, item, why)
        return None


async def _later_or_never(services: Services, item: InboxItem, why: Unusable) -> None:
    if item.attempts >= LAST_TRY:
        await _give_up(services, item, why)
        return
    async with services.store.transaction() as tx:
        await tx.inbox.retry_later(item.id, str(why), services.now() + RETRY)


async def _give_up(services: Services, item: InboxItem, why: Unusable) -> None:
    now = services.now()
    async with services.store.transaction() as tx:
        await dead_letters.keep(services, tx, item, why, now)
        await tx.inbox.failed(item.id, str(why), now)


async def _read(
    services: Services, item: InboxItem, asking: reconciliation.Asking, ahead: Ahead
) -> _Row | None:
    """Say what a row tells of; None where it is over, or put off."""
    try:
        delivery = decode_delivery(item.body)
        if delivery.truncated:
            await ahead()
        rest = await asking.cut_off(item, delivery)
        ours, foreign = _by_cluster([*delivery.alerts, *rest.found], services.settings.cluster)
        last_try = item.attempts >= OWNER_TRIES
        learned = reconciliation.learned(item, rest)
        aimed = [
            replace(
                await aim(services, alert, ahead, last_try=last_try),
                receiver="" if item.source == reconciliation.SOURCE else delivery.receiver,
                learned=learned(alert),
            )
            for alert in ours
        ]
    except MalformedDeliveryError as error:
        await _give_up(services, item, error.why)
        return None
    except StoreUnavailableError:  # of the rows ahead
        raise
    except TransientError as error:
        async with services.store.transaction() as tx:
            later = services.now() + (error.retry_after or RETRY)
            await tx.inbox.retry_later(item.id, str(error), later)
        return None
    return _Row(item, aimed, foreign, delivery.truncated, rest)


async def _write(services: Services, rows: list[_Row]) -> set[int]:
    """Write what rows tell of, and that they are done, in one transaction."""
    now = services.now()
    touched: set[int] = set()
    alerts = {one.alert.fingerprint for row in rows for one in row.aimed}
    async with services.store.transaction() as tx:
        known = await tx.episodes.known(services.settings.cluster, alerts)
        for row in rows:
            for one in row.aimed:
                is_new = one.alert.fingerprint not in known
                incident_id = await apply(services, tx, one, now, is_new=is_new)
                if incident_id is not None:
                    touched.add(incident_id)
                    known.add(one.alert.fingerprint)
            if row.rest.again is not None:
                why_again, later = f"cut_off: {row.rest.problem}", now + row.rest.again
                await tx.inbox.retry_later(row.item.id, why_again, later)
                continue
            if row.truncated:
                await dead_letters.tell_truncated(
                    services, tx, row.truncated, row.rest.problem, now
                )
            if row.foreign:
                why = Unusable(DeadLetterReason.OTHER_CLUSTER, row.foreign)
                await dead_letters.keep(services, tx, row.item, why, now)
        over = [row for row in rows if row.rest.again is None]
        await tx.inbox.done([row.item.id for row in over], now)
    services.metrics.alerts_received.inc(sum(len(row.aimed) for row in over))
    return touched


def _by_cluster(alerts: Sequence[Alert], cluster: str) -> tuple[list[Alert], str]:
    """Part the alerts of our cluster from those of another, which is named."""
    ours = [alert for alert in alerts if alert.labels.get("cluster", cluster) == cluster]
    others = {alert.labels.get("cluster", cluster) for alert in alerts} - {cluster}
    return ours, ", ".join(sorted(others))
