"""Opens connections to the world when an enabled collector first asks for one.

The libraries behind them are imported then, not before: what is not enabled costs nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.application import Application
from exporter.aws_port import AwsAccount
from exporter.clients.aws import AwsConnection
from exporter.clients.commands import CommandRunner
from exporter.clients.http import USER_AGENT, HttpClient
from exporter.clients.postgres import PostgresDatabase
from exporter.clients.prober import HttpProber
from exporter.clients.resolver import SystemResolver
from exporter.shared.clock import Clock
from exporter.shared.kube_client import KubeConnection
from exporter.watch.api import KubeReads
from exporter.watch.nodes import NodeStream
from exporter.watch.pods import PodStream

if TYPE_CHECKING:
    from exporter.clients.pgbouncer import PgbouncerConsole


class OpenClients:
    """The connections of one exporter process (ports.Clients).

    All of them connect with their first use; whoever made the clients closes them.
    """

    def __init__(
        self, *, kubeconfig: Path | None, applications: Sequence[Application], clock: Clock
    ) -> None:
        """`kubeconfig` None means the pod's service account, else the default kubeconfig."""
        self.clock = clock
        self.applications = applications
        self.commands = CommandRunner()
        self.http = HttpClient()
        self._connection = KubeConnection(kubeconfig, user_agent=USER_AGENT)
        self.kube = KubeReads(self._connection)
        self.pods = PodStream(self.kube, clock)
        self.nodes = NodeStream(self.kube, clock)
        self.resolver = SystemResolver()
        self.prober = HttpProber(clock, self.resolver)
        self._databases: dict[tuple[str, str, timedelta], PostgresDatabase] = {}
        self._consoles: dict[str, PgbouncerConsole] = {}
        self._accounts: dict[AwsAccount, AwsConnection] = {}

    def database(
        self, dsn: str, *, collector: str, statement_timeout: timedelta
    ) -> PostgresDatabase:
        """Return the one connection of `collector` to `dsn`, not opened yet."""
        name = f"{USER_AGENT}/{collector}"
        key = (dsn, name, statement_timeout)
        return self._databases.setdefault(key, PostgresDatabase(dsn, name, statement_timeout))

    def pgbouncer(self, dsn: str) -> "PgbouncerConsole":
        """Return the one admin console at `dsn` of this process, not opened yet."""
        from exporter.clients.pgbouncer import PgbouncerConsole  # noqa: PLC0415 - it costs a driver

        return self._consoles.setdefault(dsn, PgbouncerConsole(dsn))

    def aws(self, account: AwsAccount) -> AwsConnection:
        """Return the one connection to `account` of this process, not opened yet."""
        return self._accounts.setdefault(account, AwsConnection(account, self.clock))

    async def close(self) -> None:
        """Close whatever was opened, the streams before what they read through."""
        await self.pods.close()
        await self.nodes.close()
        await self.resolver.close()
        await self._connection.close()
        for database in self._databases.values():
            await database.close()
        for console in self._consoles.values():
            await console.close()
        for account in self._accounts.values():
            await account.close()
        await self.http.close()
