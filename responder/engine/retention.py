"""Deletes what is past its time, so little at once that nobody waits for it.

A batch is a transaction of its own: `ROWS` rows of one table, or one incident whole. Between two
of them everybody else goes first. Done twice, or by two replicas at once, it changes nothing more.
SQLite puts what is free to use again and gives nothing back: the file stays as large as it once
was. Giving back takes the file's lock for its whole length (VACUUM), so that is left to people.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta

from dbos import DBOS

from exporter.shared.log import get_log
from responder.domain.values import incident_of_workflow
from responder.engine.services import Services
from responder.store.retention import Horizon

log = get_log(__name__)

ROWS = 200
"""Rows of one table in a transaction: 4 ms for bodies of 6 kB, measured on both databases."""

WORKFLOWS = 5
"""Finished workflows deleted at once with all their steps: 11 ms for 500 steps each on SQLite."""

INCIDENTS = 100
"""Incidents looked up at once; each goes in a transaction of its own: 5 ms for 50 rows and 12
pieces of evidence of 40 kB, 25 ms at the worst, on both databases."""

LOGINS_KEPT = timedelta(days=1)
"""How long a login at the console whose time is over stays in the store."""

PAUSE = timedelta(milliseconds=50)
"""Between two batches: several times as long as a batch takes."""

FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""States in which the engine's library is done with a workflow."""

Forgotten = AsyncIterator[Mapping[str, int]]
"""Rows deleted by table, a batch at a time."""


async def prune(services: Services) -> Mapping[str, int]:
    """Delete all that is past its time; return how many rows of each table went."""
    keep, now = services.settings.retention, services.now()
    horizon = Horizon.at(now, keep.incidents, keep.deliveries)
    parts: dict[str, Forgotten] = {
        name: _rows(services, name, horizon) for name in ("inbox", "dead_letters", "outbox")
    }
    parts["workflows"] = _workflows(services, horizon.deliveries)
    parts["incidents"] = _incidents(services, horizon)
    async with services.store.transaction() as tx:
        await tx.sessions.forget(now - LOGINS_KEPT)
    total: Counter[str] = Counter()
    for name, batches in parts.items():
        async for forgotten in batches:
            total.update(forgotten)
            for table, number in forgotten.items():
                services.metrics.pruned_rows.labels(table).inc(number)
            await services.clock.sleep(PAUSE)
        services.metrics.last_prune.labels(name).set(services.now().timestamp())
    spent = (services.now() - now).total_seconds()
    log.info("pruned", **total, seconds=round(spent, 3))
    return total


async def _rows(services: Services, table: str, horizon: Horizon) -> Forgotten:
    while True:
        async with services.store.transaction() as tx:
            number = await tx.retention.forget_rows(table, horizon, ROWS)
        if number:
            yield {table: number}
        if number < ROWS:
            return


async def _incidents(services: Services, horizon: Horizon) -> Forgotten:
    while True:
        async with services.store.reading() as tx:
            due = await tx.retention.forgettable(horizon, INCIDENTS)
        for incident_id in due:
            async with services.store.transaction() as tx:
                forgotten = await tx.retention.forget_incident(incident_id, horizon)
            yield forgotten
        if len(due) < INCIDENTS:
            return


async def _workflows(services: Services, before: datetime) -> Forgotten:
    """Delete what the engine recorded of workflows that nobody will ask for again."""
    kept = 0
    while True:
        found = await DBOS.list_workflows_async(
            status=FINISHED,
            completed_before=before.isoformat(),
            load_input=False,
            load_output=False,
            limit=WORKFLOWS,
            offset=kept,
        )
        of = {one.workflow_id: incident_of_workflow(one.workflow_id) for one in found}
        async with services.store.reading() as tx:
            needed = await tx.retention.unfinished_of({each for each in of.values() if each})
        old = [workflow for workflow, incident in of.items() if incident not in needed]
        if old:
            await DBOS.delete_workflows_async(old)
            yield {"workflows": len(old)}
        kept += len(found) - len(old)
        if len(found) < WORKFLOWS:
            return
