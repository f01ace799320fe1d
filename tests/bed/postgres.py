"""A PostgreSQL server of one's own: fresh, fast, forgetful."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

import asyncpg

from exporter.shared.clock import SystemClock
from tests.bed.process import BedError, Process, free_port, program
from tests.bed.unprivileged import home, owner

HOST = "127.0.0.1"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}


STANDBY = "standby"
"""Name under which a standby follows."""


@dataclass(frozen=True)
class Place:
    """Where a server's files are, and whose."""

    folder: Path
    log: Path
    user: str | None

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.folder / "data"

    async def make(self, tool: str, *options: str) -> None:
        """Make the data folder with one of PostgreSQL's tools."""
        making = await Process.start(
            [_binary(tool), *options], log=self.log, name=tool, cwd=self.folder, user=self.user
        )
        async with making:
            if await making.wait(30) != 0:
                raise BedError(f"{tool} failed; its log:\n{making.tail()}")


@dataclass(frozen=True)
class Guests:
    """Who may come beside this machine, and to which of its addresses."""

    network: str
    host: str


class Postgres:
    """A server on loopback that trusts everyone; its superuser is `postgres`."""

    def __init__(self, process: Process, port: int, host: str = HOST) -> None:
        self.process = process
        self.port = port
        self.host = host
        self._launch: Callable[[], Awaitable[Process]] | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls, root: Path, settings: Mapping[str, str] | None = None, guests: Guests | None = None
    ) -> AsyncIterator[Self]:
        """Make a cluster, run it, and remove it at the end; its log is `root/postgres.log`.

        `guests` are let in beside this machine; its addresses are then those that they can reach.
        """
        user = owner()
        with home(root, "postgres", user) as folder:
            place = Place(folder, root / "postgres.log", user)
            options = ("--auth=trust", "--username=postgres", "--locale=C.UTF-8", "--no-sync")
            await place.make("initdb", f"--pgdata={place.data}", *options)
            chosen = dict(settings or {})
            if guests is not None:
                chosen["listen_addresses"] = f"{HOST},{guests.host}"
                with (place.data / "pg_hba.conf").open("a") as rules:
                    rules.write(f"host all all {guests.network} trust\n")
            async with cls._run(place, chosen) as server:
                if guests is not None:
                    server.host = guests.host
                yield server

    @asynccontextmanager
    async def standby(self, root: Path) -> AsyncIterator["Postgres"]:
        """Run a copy that follows this server; its log is `root/standby.log`."""
        user = owner()
        with home(root, "standby", user) as folder:
            place = Place(folder, root / "standby.log", user)
            source = f"host={HOST} port={self.port} user=postgres application_name={STANDBY}"
            how = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")
            await place.make("pg_basebackup", f"--pgdata={place.data}", f"--dbname={source}", *how)
            async with self._run(place, {}) as server:
                yield server

    @classmethod
    @asynccontextmanager
    async def _run(cls, place: "Place", settings: Mapping[str, str]) -> AsyncIterator[Self]:
        port = free_port()
        options = [f"-c{key}={value}" for key, value in {**SETTINGS, **settings}.items()]

        async def ready() -> bool:
            return await _answers(port)

        # SIGQUIT is PostgreSQL's immediate shutdown: it takes its children and its shared memory
        # along, which a killed postmaster cannot.
        async def launch() -> Process:
            return await Process.start(
                [_binary("postgres"), f"-D{place.data}", f"-p{port}", *options],
                log=place.log,
                name="postgres",
                cwd=place.folder,
                user=place.user,
                ready=ready,
                death_signal="QUIT",
            )

        server = cls(await launch(), port)
        server._launch = launch
        try:
            yield server
        finally:
            await server.process.stop(signal.SIGINT)

    async def crash(self, outage: timedelta) -> None:
        """Let it crash, and come back on the same port and data after a while."""
        await self.process.stop(signal.SIGQUIT)
        await SystemClock().sleep(outage)
        assert self._launch is not None
        self.process = await self._launch()

    def dsn(self, database: str = "postgres") -> str:
        """Return the address of a database, as asyncpg and SQLAlchemy's drivers read it."""
        return _dsn(self.port, database, self.host)

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


def _dsn(port: int, database: str, host: str = HOST) -> str:
    return f"postgresql://postgres@{host}:{port}/{database}"


def _binary(name: str) -> str:
    """Prefer Debian's own place: what is first on PATH may be a wrapper or another version."""
    places = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(places, key=_major, default=None)
    return str(newest) if newest is not None else program(name, package="postgresql")


def _major(path: Path) -> int:
    return int(path.parts[4])


async def _answers(port: int) -> bool:
    try:
        connection = await asyncpg.connect(_dsn(port, "postgres"), timeout=2)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
        return False
    await connection.close()
    return True
