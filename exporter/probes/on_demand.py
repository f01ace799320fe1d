"""Probes that are made when somebody asks: `GET /probe?target=&module=`, as blackbox_exporter's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from exporter.contract import Reply
from exporter.ports import Clients
from exporter.probe_port import Exchange, Guard
from exporter.probes.addresses import Addresses, Missing
from exporter.probes.allow import Configured
from exporter.probes.asking import ask
from exporter.probes.blackbox import page
from exporter.probes.judge import Verdict, judge
from exporter.probes.settings import DEFAULT_MODULE, Module, Settings, Target

OFFSET = timedelta(milliseconds=500)
"""Time kept of the scrape's timeout so that the answer is in time; blackbox_exporter's default."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be asked."""

    url: str
    module: Module
    guard: Guard


class Refusal(Exception):  # noqa: N818 - it is one, not an error
    """The request is not carried out."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class OnDemandProbes:
    """Answers /probe."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._settings = settings
        self._modules = settings.modules_by_name()
        self._targets = {target.name: target for target in settings.targets}
        self._addresses = Addresses(clients.kube, clients.clock)
        self._prober = clients.prober
        self._running = 0

    async def answer(self, query: Mapping[str, str], scrape: timedelta | None) -> Reply:
        """Make one probe; `scrape` is the time that a scrape has, where the caller is one.

        200 with metrics whether or not the target is well, 400 for a query that is none, 403 for a
        target that may not be asked, 404 for one without an address, 503 when too many run.
        """
        try:
            order = await self._order(query)
        except Refusal as refusal:
            return Reply(refusal.status, f"{refusal}\n")
        if self._running >= self._settings.on_demand.at_once:
            return Reply(503, "too many probes on demand are running (on_demand.at_once)\n")
        self._running += 1
        try:
            exchange = await ask(
                self._prober,
                order.module,
                order.url,
                order.guard,
                deadline=deadline(order.module.timeout, scrape),
            )
        finally:
            self._running -= 1
        verdict = judge(order.module.expectation(), exchange)
        metrics = page(verdict, exchange)
        if query.get("debug") == "true":
            return Reply(200, debug_text(verdict, exchange, metrics))
        return Reply(200, metrics)

    async def _order(self, query: Mapping[str, str]) -> _Order:
        """Return what is to be asked. Raises Refusal."""
        asked = query.get("target", "")
        if not asked:
            raise Refusal(400, "target is missing: /probe?target=URL or a target's name")
        target = self._targets.get(asked)
        name = query.get("module") or (target.module if target else DEFAULT_MODULE)
        module = self._modules.get(name)
        if module is None:
            raise Refusal(400, f"there is no module {name!r}")
        if target is not None:
            return await self._named(target, module, is_own=name == target.module)
        if module.header_files:
            raise Refusal(403, f"module {name!r} sends secrets: ask a target that is set up for it")
        return self._by_url(asked, module)

    async def _named(self, target: Target, module: Module, *, is_own: bool) -> _Order:
        allowed = self._settings.on_demand.targets
        if target.name not in allowed and "*" not in allowed:
            raise Refusal(403, f"target {target.name!r} is not in on_demand.targets")
        if module.header_files and not is_own:
            raise Refusal(403, f"only module {target.module!r} may send secrets to this target")
        url = await self._addresses.url(target)
        if isinstance(url, Missing):
            raise Refusal(404, f"target {target.name!r} has no address: {url}")
        return _Order(url, module, Configured())

    def _by_url(self, asked: str, module: Module) -> _Order:
        url = asked if "://" in asked else f"http://{asked}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 443 * (parts.scheme == "https") or 80
        except ValueError as error:
            raise Refusal(400, "target is no URL") from error
        if parts.scheme not in ("http", "https") or not host:
            raise Refusal(400, "target is no http or https URL")
        if "@" in parts.netloc:
            raise Refusal(400, "target may not carry a user or password")
        guard = self._settings.on_demand.guard()
        refusal = guard.host(host, port)  # once more by the connection, which has the last word
        if refusal:
            raise Refusal(403, f"{refusal} (on_demand.hosts)")
        return _Order(url, module, guard)


def deadline(own: timedelta, scrape: timedelta | None) -> timedelta:
    """Return how long a probe may take: the module's time, or less where the scrape has less."""
    if scrape is None:
        return own
    return min(own, scrape - OFFSET if scrape > 2 * OFFSET else scrape / 2)


def debug_text(verdict: Verdict, exchange: Exchange, metrics: str) -> str:
    """Return the probe's own log and its metrics, for people."""
    words = "success" if verdict.good else f"failure ({verdict.failure}): {verdict.detail}"
    log = "\n".join(exchange.log)
    return f"Log of the probe:\n{log}\n\nVerdict: {words}\n\nMetrics:\n{metrics}"
