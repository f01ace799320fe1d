"""A Prometheus of one's own, and its tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Self

import msgspec
import yaml

from tests.bed.process import BedError, program, run_tool
from tests.bed.web_program import HOST, WebProgram

PACKAGE = "prometheus"
RESEND_DELAY = "5s"  # an alert's end is set four of these ahead: a busy machine must not resolve it


@dataclass(frozen=True)
class Scrape:
    """What to scrape: `target` is host:port, `labels` are what Prometheus attaches itself."""

    job: str
    target: str
    honor_labels: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    path: str = "/metrics"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)
    """Further settings of the scrape, as Prometheus writes them: `scheme`, `tls_config` …"""


class Alert(msgspec.Struct, rename="camel"):
    """An active alert; `state` is pending or firing."""

    labels: dict[str, str]
    annotations: dict[str, str]
    state: str
    active_at: str


class Target(msgspec.Struct, rename="camel"):
    """An active target; `health` is up, down or unknown."""

    labels: dict[str, str]
    health: str
    last_error: str


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class Prometheus(WebProgram):
    """A server that scrapes, evaluates rules and alerts."""

    @classmethod
    def start(  # noqa: PLR0913 - as many as Prometheus' own configuration has parts
        cls,
        root: Path,
        *,
        scrapes: Sequence[Scrape] = (),
        rules: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        scrape_interval: str = "1s",
        evaluation_interval: str = "1s",
        flags: Sequence[str] = (),
        discover: Sequence[Mapping[str, object]] = (),
        host: str = HOST,
    ) -> Self:
        """Return a server to enter; `alertmanagers` are URLs, `rules` files, `flags` its own.

        `discover` are scrape configurations in Prometheus' own words, `host` is where it listens.
        """
        home = root / "prometheus"
        home.mkdir(parents=True, exist_ok=True)
        config = home / "prometheus.yml"
        document = {
            "global": {
                "scrape_interval": scrape_interval,
                "scrape_timeout": scrape_interval,
                "evaluation_interval": evaluation_interval,
            },
            "rule_files": [str(rule.resolve()) for rule in rules],
            "scrape_configs": [*map(_scrape_config, scrapes), *discover],
            "alerting": {"alertmanagers": [_alertmanager_config(url) for url in alertmanagers]},
        }
        config.write_text(yaml.safe_dump(document, sort_keys=False))

        def argv(port: int) -> list[str]:
            return [
                program("prometheus", package=PACKAGE),
                f"--config.file={config}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={host}:{port}",
                f"--rules.alert.resend-delay={RESEND_DELAY}",
                *flags,
            ]

        return cls("prometheus", argv, home / "prometheus.log", host)

    async def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Return the instant vector of an expression, or the scalar, without labels."""
        data = await self._api("query", query=promql)
        if data["resultType"] == "scalar":
            _, scalar = msgspec.convert(data["result"], tuple[float, str])
            return [({}, float(scalar))]
        samples = msgspec.convert(data["result"], list[_Sample])
        return [(sample.metric, float(sample.value[1])) for sample in samples]

    async def alerts(self) -> list[Alert]:
        """Return the active alerts."""
        return msgspec.convert((await self._api("alerts"))["alerts"], list[Alert])

    async def targets(self) -> list[Target]:
        """Return the active targets."""
        return msgspec.convert((await self._api("targets"))["activeTargets"], list[Target])

    async def _api(self, path: str, **params: str) -> dict[str, object]:
        async with self.session.get(f"/api/v1/{path}", params=params) as answer:
            body = await answer.json()
        if body["status"] != "success":
            raise BedError(f"Prometheus: {body['error']}")
        data: dict[str, object] = body["data"]
        return data


def promtool(*args: str | Path, stdin: str = "") -> CompletedProcess[str]:
    """Run promtool; its exit code and its words are in what is returned."""
    return run_tool(program("promtool", package=PACKAGE), *args, stdin=stdin)


def _alertmanager_config(url: str) -> dict[str, object]:
    scheme, _, address = url.rstrip("/").partition("://")
    return {"scheme": scheme, "static_configs": [{"targets": [address]}]}


def _scrape_config(scrape: Scrape) -> dict[str, object]:
    return {
        "job_name": scrape.job,
        "honor_labels": scrape.honor_labels,
        "metrics_path": scrape.path,
        "params": {name: list(values) for name, values in scrape.params.items()},
        "static_configs": [{"targets": [scrape.target], "labels": dict(scrape.labels)}],
        **scrape.more,
    }
