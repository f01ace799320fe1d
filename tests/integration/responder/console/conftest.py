"""A responder on a simulated cluster, a Prometheus with KPIs made by rules, and a real browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, expect

from responder.domain.values import JsonObject
from tests.bed import responder as beds
from tests.bed.browser import chromium
from tests.bed.prometheus import Prometheus
from tests.bed.responder import Alone

POLICY = """
version: 1
targets:
  workload: {kind: $workload_type, namespace: $namespace, name: $workload}
runbooks:
  - name: restart-it
    match: ['alertname="Broken"']
    target: workload
    mode: act
    steps: [{restart: {}}]
    limits: {cooldown: 1s, per_hour: 100, per_day: 100}
escalation:
  default: [{after: 0m, notify: [oncall-pager]}, {after: 2h, notify: [senior-pager]}]
gate: {namespaces: {allow: [default]}, budget: {cluster_per_hour: 100}}
"""
RULES = """
groups:
  - name: made
    interval: 1s
    rules:
      - {record: kpi_target, expr: vector(0.01), labels: {kpi: error_ratio, comparison: below}}
      - {record: kpi_target, expr: vector(0.2), labels: {kpi: latency_p95, comparison: below}}
      - record: namespace_workload:kpi_error_ratio:rate
        expr: vector(0.25)
        labels: {namespace: default, workload: task-manager, workload_type: deployment}
      - record: namespace_workload:kpi_latency_p95:rate
        expr: vector(0) / 0
        labels: {namespace: default, workload: task-manager, workload_type: deployment}
"""
TARGET = "deployment/default/task-manager"

expect.set_options(timeout=20_000)  # of what is waited for: a rollout on a loaded machine


@dataclass
class Console:
    """What runs, and a browser to look at it."""

    alone: Alone
    browser: Browser

    @property
    def url(self) -> str:
        return self.alone.responder.url

    async def report(self, title: str, **more: str) -> JsonObject:
        """Open an incident over the API."""
        body: JsonObject = {"title": title, **more}
        status, found = await self.alone.call("POST", "/api/v1/incidents", who="oncall", body=body)
        assert status == 201
        assert isinstance(found, dict)
        return found

    async def resolve(self, incident: JsonObject) -> None:
        path = f"/api/v1/incidents/{incident['id']}/resolve"
        await self.alone.call("POST", path, who="oncall", body={})


@dataclass
class Watched:
    """A page of the browser, with all that went wrong on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Keep what the browser complains of (CSP included) and every address it asks for."""
        self.page.on("console", lambda said: self._complain(said.type, said.text))
        self.page.on("pageerror", lambda error: self._complain("error", str(error)))
        self.page.on("request", self._ask)

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _ask(self, request: Request) -> None:
        self.asked.append(request.url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    root = tmp_path_factory.mktemp("console")
    rules, policies = root / "rules.yaml", root / "policies"
    rules.write_text(RULES)
    policies.mkdir()
    (policies / "console.yaml").write_text(POLICY)
    async with (
        Prometheus.start(root, rules=[rules]) as prometheus,
        beds.start(root, policies=policies, prometheus=prometheus.url) as alone,
        chromium() as browser,
    ):
        yield Console(alone, browser)
