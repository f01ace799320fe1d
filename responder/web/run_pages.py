"""The pages about runs and the kill switch: choose, see the plan, confirm."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from responder.domain.policy import Runbook
from responder.domain.values import Target, incident_name
from responder.engine import people
from responder.engine.engine import Engine
from responder.engine.preview import PreviewedStep, preview
from responder.web import views
from responder.web.frame import Frame, Page, Visit
from responder.web.kpis import Kpis
from responder.web.params import PREFIX, Param, params_of, read
from responder.web.routing import parsed, refuse, target
from responder.web.runs_api import one_action, runbook_named


@dataclass(frozen=True, slots=True)
class _Wish:
    """What somebody wants run."""

    what: str
    """`runbook:<name>` or `action:<name>`."""
    runbook: Runbook
    target: Target
    params: Mapping[str, str]
    """The fields of the parameters, as they were filled in."""

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields that say the same again."""
        return {"what": self.what, "target": str(self.target), **self.params}


class RunPages:
    """Handlers over one engine."""

    def __init__(self, frame: Frame, engine: Engine, kpis: Kpis) -> None:
        self._frame = frame
        self._engine = engine
        self._services = engine.services
        self._kpis = kpis

    def pages(self) -> tuple[Page, ...]:
        """Return every address with its handler."""
        return (
            Page("GET", "/run", "operator", self.choose),
            Page("GET", "/run/plan", "operator", self.plan),
            Page("POST", "/run", "operator", self.run),
            Page("GET", "/kill-switch", "viewer", self.switch),
            Page("POST", "/kill-switch", "operator", self.turn),
        )

    async def choose(self, visit: Visit) -> web.StreamResponse:
        """Ask what to run on which target, and then for its parameters."""
        query = visit.request.query
        what, on = query.get("what", ""), query.get("target", "")
        params = self._params(what)
        if what and on and not params:
            raise web.HTTPSeeOther(f"/run/plan?{urlencode({'what': what, 'target': on})}")
        return await self._frame.page(
            visit,
            "run.html",
            what=what,
            target=on,
            params=params,
            runbooks=[runbook.name for runbook in self._services.policy.runbooks],
            actions=self._services.actions,
            targets=await self._kpis.targets(),
        )

    async def plan(self, visit: Visit) -> web.StreamResponse:
        """Say what would be done, and offer to do it where the gate does not refuse."""
        return await self._planned(visit, self._wish(visit.request.query))

    async def run(self, visit: Visit) -> web.StreamResponse:
        """Run what was planned; when the plan is another one by now, show that instead."""
        wish = self._wish(visit.form)
        steps = await preview(self._services, wish.runbook, wish.target)
        if visit.form.get("seen") != _digest(steps):
            return await self._planned(visit, wish, is_new=True)
        run = await self._engine.run(wish.runbook, wish.target, visit.name)
        raise web.HTTPSeeOther(f"/incidents/{incident_name(run.incident_id)}")

    async def switch(self, visit: Visit) -> web.StreamResponse:
        """Show the kill switch."""
        return await self._frame.page(visit, "switch.html")

    async def turn(self, visit: Visit) -> web.StreamResponse:
        """Turn the kill switch."""
        wanted = parsed(views.KillSwitchRequest, visit.form)
        if wanted.on and not wanted.reason:
            raise refuse("say why: whoever finds it on must know when to turn it off")
        await people.turn_kill_switch(
            self._services, on=wanted.on, by=visit.name, reason=wanted.reason
        )
        raise web.HTTPSeeOther("/kill-switch")

    async def _planned(
        self, visit: Visit, wish: _Wish, *, is_new: bool = False
    ) -> web.StreamResponse:
        steps = await preview(self._services, wish.runbook, wish.target)
        return await self._frame.page(
            visit,
            "plan.html",
            status=409 if is_new else 200,
            wish=wish,
            steps=steps,
            seen=_digest(steps),
            is_offered=is_offered(steps),
            is_new=is_new,
        )

    def _params(self, what: str) -> list[Param]:
        kind, _, name = what.partition(":")
        spec = self._services.actions.get(name) if kind == "action" else None
        return params_of(spec.params) if spec else []

    def _wish(self, fields: Mapping[str, str]) -> _Wish:
        """Read what is wanted. Raises HTTPBadRequest with what is wrong."""
        what = fields.get("what", "")
        kind, _, name = what.partition(":")
        on = target(fields.get("target", "").strip())
        if kind == "runbook":
            return _Wish(what, runbook_named(self._services, name), on, {})
        params = self._params(what)
        runbook = one_action(self._services, name, read(params, fields))
        given = {key: fields[key] for key in fields if key.startswith(PREFIX)}
        return _Wish(what, runbook, on, given)


def is_offered(steps: Sequence[PreviewedStep]) -> bool:
    """Say whether a run would do anything: its first effect must not be refused."""
    effects = [step for step in steps if step.role == "effect" and step.verdict != "skipped"]
    return not effects or effects[0].verdict != "refused"


def _digest(steps: Sequence[PreviewedStep]) -> str:
    """Return what tells two plans apart; reasons tell the time, and are left out."""
    said = repr([(step.action, step.summary, step.verdict, step.pods) for step in steps])
    return hashlib.sha256(said.encode()).hexdigest()
