"""An Alertmanager of one's own, and its tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Self

import msgspec
import yaml

from tests.bed.process import BedError, program, run_tool
from tests.bed.web_program import HOST, WebProgram

PACKAGE = "prometheus-alertmanager"


class Status(msgspec.Struct, rename="camel"):
    """Whether an alert is told: active, suppressed or unprocessed, and by what it is silenced."""

    state: str
    silenced_by: list[str]
    inhibited_by: list[str]


class Alert(msgspec.Struct, rename="camel"):
    """An alert as the API tells it; times are RFC 3339."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str
    fingerprint: str
    status: Status


@dataclass(frozen=True)
class Gossip:
    """What a server says to its peers, and hears from them."""

    port: int
    peers: tuple[int, ...]
    """Ports of those that were there before it."""
    peer_timeout: timedelta
    """How long each next one in turn waits for the one before it to say that it has told."""

    def options(self) -> list[str]:
        """Return the command line's part."""
        return [
            f"--cluster.listen-address={HOST}:{self.port}",
            f"--cluster.peer-timeout={self.peer_timeout.total_seconds():g}s",
            "--cluster.settle-timeout=5s",
            *(f"--cluster.peer={HOST}:{port}" for port in self.peers),
        ]


class Alertmanager(WebProgram):
    """A server, alone or one of several that gossip."""

    @classmethod
    def start(
        cls, root: Path, config: Mapping[str, object] | Path, gossip: Gossip | None = None
    ) -> Self:
        """Return a server to enter, with a configuration file or with one made of `config`."""
        home = root / "alertmanager"
        home.mkdir(parents=True, exist_ok=True)
        if isinstance(config, Path):
            file = config
        else:
            file = home / "alertmanager.yml"
            file.write_text(yaml.safe_dump(dict(config), sort_keys=False))

        def argv(port: int) -> list[str]:
            return [
                program("prometheus-alertmanager", "alertmanager", package=PACKAGE),
                f"--config.file={file}",
                f"--storage.path={home / 'data'}",
                f"--web.listen-address={HOST}:{port}",
                *(gossip.options() if gossip else ["--cluster.listen-address="]),
            ]

        return cls("alertmanager", argv, home / "alertmanager.log")

    async def alerts(self) -> list[Alert]:
        """Return the alerts it holds."""
        async with self.session.get("/api/v2/alerts") as answer:
            return msgspec.json.decode(await answer.read(), type=list[Alert])

    async def peers(self) -> int:
        """Return how many it knows, itself included."""
        async with self.session.get("/api/v2/status") as answer:
            cluster = (await answer.json())["cluster"]
        return len(cluster.get("peers", []))

    async def post_alerts(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Hand it alerts as Prometheus does: labels, annotations, startsAt, endsAt."""
        async with self.session.post("/api/v2/alerts", json=list(alerts)) as answer:
            if not answer.ok:
                raise BedError(f"Alertmanager: {answer.status} {await answer.text()}")


def amtool(*args: str | Path) -> CompletedProcess[str]:
    """Run amtool; its exit code and its words are in what is returned."""
    return run_tool(program("amtool", package=PACKAGE), *args)
