"""A pgbouncer of one's own, in front of the bed's PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import psycopg

from tests.bed.postgres import HOST, Postgres
from tests.bed.process import Process, free_port, program
from tests.bed.unprivileged import home, owner

SETTINGS = {
    "listen_addr": HOST,
    "unix_socket_dir": "",
    "auth_type": "trust",
    "admin_users": "postgres",
    "stats_users": "stats",
    "pool_mode": "transaction",
    "default_pool_size": "2",
    "max_client_conn": "50",
    "ignore_startup_parameters": "extra_float_digits",
}


class Pgbouncer:
    """A pool on loopback that trusts everyone; `stats` may look at its console."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    @classmethod
    @asynccontextmanager
    async def start(
        cls, root: Path, server: Postgres, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Self]:
        """Run a pool for every database of `server`; its log is `root/pgbouncer.log`."""
        user = owner()
        with home(root, "pgbouncer", user) as folder:
            options = {"listen_port": str(free_port()), **SETTINGS, **(settings or {})}
            port = int(options["listen_port"])
            users = folder / "users.txt"
            users.write_text('"postgres" ""\n"stats" ""\n')
            options["auth_file"] = str(users)
            lines = [f"{key} = {value}" for key, value in options.items()]
            config = folder / "pgbouncer.ini"
            target = f"* = host={HOST} port={server.port} user=postgres"
            config.write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines]) + "\n")

            async def ready() -> bool:
                return await _answers(_console(port))

            async with await Process.start(
                [program("pgbouncer", package="pgbouncer"), str(config)],
                log=root / "pgbouncer.log",
                name="pgbouncer",
                cwd=folder,
                user=user,
                ready=ready,
            ) as process:
                yield cls(process, port)

    @property
    def console(self) -> str:
        """Return the address of the admin console."""
        return _console(self.port)

    def dsn(self, database: str) -> str:
        """Return the address of a database behind the pool."""
        return f"postgresql://postgres@{HOST}:{self.port}/{database}"


def _console(port: int) -> str:
    return f"postgresql://stats@{HOST}:{port}/pgbouncer"


async def _answers(dsn: str) -> bool:
    try:
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        return False
    await connection.close()
    return True
