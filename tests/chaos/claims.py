"""Who works on a run, as the engine's own tables say it."""

import asyncio
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import asyncpg

from tests.bed.bed import Bed, LocalProgram

UNDER_WAY = (
    "SELECT workflow_uuid, owner_xid, executor_id FROM workflow_status"
    " WHERE name = 'remediate_v1' AND status = 'PENDING' AND owner_xid IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A run under way; whoever takes it up anew gets another token."""

    workflow: str
    token: str
    executor: str


async def under_way(bed: Bed) -> Claim | None:
    """Return the run under way, if there is one."""
    rows = await _rows(bed, UNDER_WAY)
    if not rows:
        return None
    row = rows[0]
    return Claim(str(row["workflow_uuid"]), str(row["owner_xid"]), str(row["executor_id"]))


async def went_on(bed: Bed, claim: Claim) -> bool:
    """Say whether somebody has taken the run up anew, or has even ended it."""
    rows = await _rows(
        bed,
        "SELECT status, owner_xid FROM workflow_status"  # noqa: S608 - the engine's own id
        f" WHERE workflow_uuid = '{claim.workflow}'",
    )
    status, token = rows[0]["status"], rows[0]["owner_xid"]
    return status == "SUCCESS" or (status == "PENDING" and token not in (None, claim.token))


def replica_of(bed: Bed, executor: str) -> LocalProgram | None:
    """Return the replica whose present boot is that executor."""
    assert bed.fleet is not None
    for replica in bed.fleet.replicas:
        joined = re.findall(r'"replica": "([^"]+)", "event": "joined"', replica.log.read_text())
        if joined and joined[-1] == executor:
            return replica
    return None


async def _rows(bed: Bed, sql: str) -> list[Mapping[str, object]]:
    if not bed.places.store_dsn:
        return await asyncio.to_thread(_read, bed, sql)
    shared = sql.replace("FROM workflow_status", "FROM dbos.workflow_status")
    connection = await asyncpg.connect(bed.places.store_dsn, timeout=5, command_timeout=10)
    try:
        return [dict(row) for row in await connection.fetch(shared)]
    finally:
        await connection.close()


def _read(bed: Bed, sql: str) -> list[Mapping[str, object]]:
    path = bed.root / "responder" / "engine.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(sql)]
