"""Databases for responders: each test its own, copied from one that was migrated once."""

import asyncio
import secrets

from responder.engine.launch import migrate_engine
from responder.store.database import Store
from tests.bed.postgres import Postgres

TEMPLATE = "runbookd_template"


async def migrated(postgres: Postgres) -> str:
    """Return the address of a fresh database at the newest form."""
    found = await postgres.execute("SELECT datname FROM pg_database")
    if TEMPLATE not in {row["datname"] for row in found}:
        template = await postgres.create_database(TEMPLATE)
        await Store.migrate(template)
        await asyncio.to_thread(migrate_engine, template)
    name = f"runbookd_{secrets.token_hex(6)}"
    await postgres.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} STRATEGY file_copy')
    return postgres.dsn(name)
