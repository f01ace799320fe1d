"""A PostgreSQL server of one's own: fresh, fast, forgetful."""

import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import asyncpg

from tests.bed.process import BedError, Process, free_port, program

HOST = "127.0.0.1"
PREFIX = "bed-postgres-"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}


class Postgres:
    """A server on loopback that trusts everyone; its superuser is `postgres`."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    @classmethod
    @asynccontextmanager
    async def start(cls, root: Path) -> AsyncIterator[Self]:
        """Make a cluster, run it, and remove it at the end; its log is `root/postgres.log`."""
        user = _user()
        home, log = _folders(root, user)
        try:
            data = home / "data"
            await _initdb(data, log, user)
            port = free_port()
            options = [f"-c{key}={value}" for key, value in SETTINGS.items()]
            argv = [_binary("postgres"), f"-D{data}", f"-p{port}", *options]

            async def ready() -> bool:
                return await _answers(port)

            # SIGQUIT is PostgreSQL's immediate shutdown: it takes its children and its shared
            # memory along, which a killed postmaster cannot.
            async with await Process.start(
                argv,
                log=log,
                name="postgres",
                cwd=home,
                user=user,
                ready=ready,
                death_signal="QUIT",
            ) as process:
                try:
                    yield cls(process, port)
                finally:
                    await process.stop(signal.SIGINT)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def dsn(self, database: str = "postgres") -> str:
        """Return the address of a database, as asyncpg and SQLAlchemy's drivers read it."""
        return _dsn(self.port, database)

    async def execute(self, sql: str, database: str = "postgres") -> list[asyncpg.Record]:
        """Run one statement, outside a transaction, and return its rows."""
        connection = await asyncpg.connect(self.dsn(database), timeout=5, command_timeout=10)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql)
            return rows
        finally:
            await connection.close()

    async def create_database(self, name: str) -> str:
        """Create an empty database and return its address."""
        await self.execute(f'CREATE DATABASE "{name}"')
        return self.dsn(name)

    async def refuse_connections(self, database: str) -> None:
        """Let nobody in any more and throw out who is; the server itself lives on."""
        await self.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        await self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"  # noqa: S608 - names are the bed's own
        )

    async def allow_connections(self, database: str) -> None:
        """Let everyone in again."""
        await self.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')


def _dsn(port: int, database: str) -> str:
    return f"postgresql://postgres@{HOST}:{port}/{database}"


def _user() -> str | None:
    """Return whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _folders(root: Path, user: str | None) -> tuple[Path, Path]:
    """Return the home and the log; the home is not below root, where another user can't enter."""
    root.mkdir(parents=True, exist_ok=True)
    _sweep()
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    if user is not None:
        shutil.chown(home, user)
    return home, root / "postgres.log"


def _sweep() -> None:
    """Remove the homes whose owners were killed before they could."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = home.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(home, ignore_errors=True)


def _binary(name: str) -> str:
    """Prefer Debian's own place: what is first on PATH may be a wrapper or another version."""
    places = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(places, key=_major, default=None)
    return str(newest) if newest is not None else program(name, package="postgresql")


def _major(path: Path) -> int:
    return int(path.parts[4])


async def _initdb(data: Path, log: Path, user: str | None) -> None:
    options = ("--auth=trust", "--username=postgres", "--locale=C.UTF-8", "--no-sync")
    argv = [_binary("initdb"), f"--pgdata={data}", *options]
    making = await Process.start(argv, log=log, name="initdb", cwd=data.parent, user=user)
    async with making:
        if await making.wait(30) != 0:
            raise BedError(f"initdb failed; its log:\n{making.tail()}")


async def _answers(port: int) -> bool:
    try:
        connection = await asyncpg.connect(_dsn(port, "postgres"), timeout=2)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
        return False
    await connection.close()
    return True
