"""Sets the engine's library up: on a SQLite file of one process, or on the replicas' database."""

import sqlite3
from pathlib import Path

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from dbos import error as dbos_errors

from exporter.shared.errors import RunbookdError
from responder.engine import workflows
from responder.engine.fleet import ORPHANS
from responder.engine.services import Services

POLL_SECONDS = 0.5
"""How often a queue is looked at: a run waits half of it on average."""

IDLE_TRANSACTION_SECONDS = 10.0
"""After which PostgreSQL ends a transaction in which a process has frozen; by default 60, in which
nobody could take its workflows over."""


async def launch(services: Services) -> None:
    """Launch the library on the running loop: workflows then run on it too.

    Raises RunbookdError when its tables in a shared database are older than it needs.
    """
    DBOS(config=_config(services))
    try:
        DBOS.launch()
    except dbos_errors.DBOSInitializationError as error:
        if "schema version" not in str(error):
            raise RunbookdError(f"the engine cannot start: {error}") from error
        raise RunbookdError(
            "the engine's tables are older than this release needs:"
            " run `alert-responder migrate` first"
        ) from error
    await DBOS.register_queue_async(
        workflows.TARGETS,
        partition_concurrency=1,
        worker_concurrency=50,
        polling_interval_sec=POLL_SECONDS,
    )
    if services.store.is_shared:
        await DBOS.register_queue_async(ORPHANS, polling_interval_sec=POLL_SECONDS)


def migrate_engine(dsn: str) -> None:
    """Bring the library's own tables in a shared database to its newest form; safe to repeat."""
    DBOS.migrate(_psycopg(dsn))


def _config(services: Services) -> DBOSConfig:
    settings = services.settings
    config = DBOSConfig(
        name="runbookd",
        executor_id=services.fleet.executor,
        application_version="1",
        serializer=DBOSPortableJSONSerializer(),
        sys_db_pool_size=5,
        max_executor_threads=16,
        log_level="WARNING",
    )
    if services.store.is_shared:
        config["system_database_url"] = _psycopg(settings.store_url)
        config["run_migrations"] = False
        config["sys_db_idle_transaction_timeout_sec"] = IDLE_TRANSACTION_SECONDS
    else:
        path = settings.engine_path
        _write_ahead(path)
        config["system_database_url"] = f"sqlite:///{path}"
    return config


def _psycopg(dsn: str) -> str:
    """Return the connection string as the library wants it: one word for the scheme."""
    return "postgresql://" + dsn.partition("://")[2]


def _write_ahead(path: Path) -> None:
    """Set WAL before the library opens the file: two to three times the steps a second."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
