"""Opens connections to the world when an enabled collector first asks for one.

The libraries behind them are imported then, not before: what is not enabled costs nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import aiohttp

from exporter.contract import Application, HttpAnswer
from exporter.shared.clock import Clock
from exporter.shared.errors import PermanentError, TransientError
from exporter.shared.kube_client import KubeConnection
from exporter.watch.api import KubeReads
from exporter.watch.pods import PodStream

if TYPE_CHECKING:
    import asyncpg

USER_AGENT = "runbookd-exporter"

CONNECT_DEADLINE = timedelta(seconds=5)
"""Time that a database has to let us in."""

LOCK_TIMEOUT = timedelta(milliseconds=250)
"""Longest wait for a lock in a database: we only look, and must not queue up behind writers."""

GRACE = timedelta(seconds=1)
"""What we wait longer than the server's own statement timeout, so that the server ends first."""

AWAY = ("08", "3D", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that may pass by themselves: connection, database gone, rollback, resources,
object not ready, operator intervention, system error. All others will be said again."""


class HttpClient:
    """Bounded GETs; connections are kept, but for those that are asked `fresh`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def get(
        self,
        url: str,
        *,
        deadline: timedelta,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> HttpAnswer:
        """GET `url` without following redirects.

        Raises TransientError (refused, reset, timed out) or PermanentError (body over `max_bytes`,
        an address that is none).
        """
        began = self._clock.monotonic()
        timing = SimpleNamespace(connect=None)
        try:
            async with (
                asyncio.timeout(deadline.total_seconds()),
                self._session(fresh=fresh).get(
                    url, headers=headers, allow_redirects=False, trace_request_ctx=timing
                ) as answer,
            ):
                body = await _body(answer, max_bytes, url)
                took = self._clock.monotonic() - began
                return HttpAnswer(answer.status, body, answer.headers, timing.connect, took)
        except TimeoutError as error:
            raise TransientError(f"{_place(url)} did not answer in time") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            # Their messages quote the whole address, with what is secret in it.
            raise PermanentError("not a URL that can be asked") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"{_place(url)}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session whose connections are kept, or not."""
        if fresh not in self._sessions:
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=fresh),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None),
                trace_configs=[self._trace()],
            )
        return self._sessions[fresh]

    def _trace(self) -> aiohttp.TraceConfig:
        """Measure how long a connection takes, from when its address is known."""

        async def start(_session: object, context: SimpleNamespace, _params: object) -> None:
            context.began = self._clock.monotonic()

        async def end(_session: object, context: SimpleNamespace, _params: object) -> None:
            context.trace_request_ctx.connect = self._clock.monotonic() - context.began

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(start)
        trace.on_dns_resolvehost_end.append(start)
        trace.on_connection_create_end.append(end)
        return trace


async def _body(answer: aiohttp.ClientResponse, max_bytes: int, url: str) -> bytes:
    """Read the body, up to its bound."""
    chunks = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise PermanentError(f"{_place(url)} sent more than {max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _place(url: str) -> str:
    """Return `url` without what could be secret in it: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class PostgresDatabase:
    """One read-only connection, opened when first used and again after it was lost."""

    def __init__(self, dsn: str, statement_timeout: timedelta) -> None:
        self._dsn = dsn
        self._statement_timeout = statement_timeout
        self._alone = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]:
        """Run a query. Raises TransientError (away, busy, too slow) or PermanentError.

        No message holds any part of the DSN. Queries wait for each other.
        """
        import asyncpg  # noqa: PLC0415 - only who watches a database pays for its driver

        async with self._alone:
            try:
                connection = await self._opened()
                # A Record is a Mapping in all but name: it has keys, values and items.
                return cast("list[Mapping[str, object]]", await connection.fetch(query, *args))
            except asyncpg.PostgresError as error:
                raise _translated(error) from error
            except (
                TimeoutError,
                OSError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                self._drop()
                raise TransientError(f"the database is away: {type(error).__name__}") from error

    async def fetch_value(self, query: str, *args: object) -> object:
        """Run a query and return the first column of its first row, None without a row."""
        rows = await self.fetch(query, *args)
        return next(iter(rows[0].values())) if rows else None

    async def close(self) -> None:
        """Close the connection; a later query would open it again."""
        async with self._alone:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=GRACE.total_seconds())
                except TimeoutError:
                    connection.terminate()

    def _drop(self) -> None:
        """Give up the connection without asking the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _opened(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return the connection, opening it when there is none."""
        import asyncpg  # noqa: PLC0415 - see fetch

        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        limit = self._statement_timeout
        if "://" not in self._dsn:  # asyncpg would take an empty one for the machine's own server
            raise PermanentError("the DSN is not a valid one")
        try:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_DEADLINE.total_seconds(),
                command_timeout=(limit + GRACE).total_seconds(),
                server_settings={
                    "application_name": USER_AGENT,
                    "default_transaction_read_only": "on",
                    "statement_timeout": _milliseconds(limit),
                    "lock_timeout": _milliseconds(LOCK_TIMEOUT),
                },
            )
        except (ValueError, asyncpg.ClientConfigurationError):
            # Their messages quote the DSN, so neither they nor their chain may be shown.
            raise PermanentError("the DSN is not a valid one") from None
        return self._connection


def _milliseconds(duration: timedelta) -> str:
    return str(round(duration.total_seconds() * 1000))


def _translated(error: "asyncpg.PostgresError") -> TransientError | PermanentError:
    """Return our error for what the server said; its own words can hold names from the DSN."""
    state = error.sqlstate or ""
    said = f"PostgreSQL said {type(error).__name__} ({state})"
    return TransientError(said) if state[:2] in AWAY else PermanentError(said)


class OpenClients:
    """The connections of one exporter process (contract.Clients).

    All of them connect with their first use; whoever made the clients closes them.
    """

    def __init__(
        self, *, kubeconfig: Path | None, applications: Sequence[Application], clock: Clock
    ) -> None:
        """`kubeconfig` None means the pod's service account, else the default kubeconfig."""
        self.clock = clock
        self.applications = applications
        self.http = HttpClient(clock)
        self._connection = KubeConnection(kubeconfig, user_agent=USER_AGENT)
        self.kube = KubeReads(self._connection)
        self.pods = PodStream(self.kube, clock)
        self._databases: dict[tuple[str, timedelta], PostgresDatabase] = {}

    def database(self, dsn: str, *, statement_timeout: timedelta) -> PostgresDatabase:
        """Return the one connection to `dsn` of this process, not opened yet."""
        key = (dsn, statement_timeout)
        return self._databases.setdefault(key, PostgresDatabase(dsn, statement_timeout))

    async def close(self) -> None:
        """Close whatever was opened, the pod stream before what it reads through."""
        await self.pods.close()
        await self._connection.close()
        for database in self._databases.values():
            await database.close()
        await self.http.close()
