"""The API's handlers: each takes a parsed request and returns a view."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from responder.domain.incident import IncidentStatus
from responder.domain.policy import Limits, Mode, Runbook, StepDef
from responder.domain.values import Target
from responder.engine.engine import Engine
from responder.engine.preview import preview
from responder.report import render
from responder.settings import Role
from responder.web import views

CALLER: web.RequestKey[str] = web.RequestKey("caller", str)
"""Name of the token that the request came with; it goes to the timeline."""

MOST = 200
"""Incidents in one list."""

ID_DIGITS = 18
"""More do not fit the store's 64 bits."""

BY_HAND = Limits(cooldown=timedelta(0))
"""For an action that a person names: who is on it need not wait for what was tried before. Budgets
and everything else of the gate hold."""

ModelT = TypeVar("ModelT", bound=BaseModel)

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the API, as the server routes it and OpenAPI documents it."""

    method: str
    path: str
    role: Role
    summary: str
    handler: Handler
    answers: object
    """Type of the answer."""
    takes: type[BaseModel] | None = None
    """Model of the request's body."""


class Api:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = engine.services.store

    def routes(self) -> tuple[Route, ...]:
        """Return every address with its handler; the one table of the API."""
        incident = "/api/v1/incidents/{id}"
        return (
            Route(
                "GET",
                "/api/v1/incidents",
                "viewer",
                "List incidents, newest first. `?status=open` keeps those of one status.",
                self.incidents,
                list[views.IncidentView],
            ),
            Route(
                "GET",
                incident,
                "viewer",
                "Show one incident whole.",
                self.incident,
                views.IncidentDetail,
            ),
            Route(
                "GET",
                f"{incident}/report",
                "viewer",
                "The post-incident report, in Markdown.",
                self.report,
                str,
            ),
            Route(
                "POST",
                f"{incident}/ack",
                "operator",
                "Take the incident: its level is not told again.",
                self.ack,
                views.IncidentView,
            ),
            Route(
                "POST",
                f"{incident}/resolve",
                "operator",
                "End the incident by a person's word.",
                self.resolve,
                views.IncidentView,
                views.ResolveRequest,
            ),
            Route(
                "POST",
                "/api/v1/runs",
                "operator",
                "Run a runbook or an action on a target, or only plan it.",
                self.run,
                views.RunView | views.PreviewView,
                views.RunRequest,
            ),
            Route(
                "GET",
                "/api/v1/actions",
                "viewer",
                "Names of the actions that a runbook or a person can run.",
                self.actions,
                list[str],
            ),
            Route(
                "GET",
                "/api/v1/kill-switch",
                "viewer",
                "Say whether the kill switch is on.",
                self.kill_switch,
                views.KillSwitchView,
            ),
            Route(
                "PUT",
                "/api/v1/kill-switch",
                "operator",
                "Turn the kill switch on or off.",
                self.set_kill_switch,
                views.KillSwitchView,
                views.KillSwitchRequest,
            ),
        )

    async def incidents(self, request: web.Request) -> web.Response:
        """List incidents."""
        wanted = request.query.get("status")
        try:
            status = {IncidentStatus(wanted)} if wanted else None
        except ValueError as error:
            known = ", ".join(IncidentStatus)
            raise _refuse(f"{wanted!r} is no status; there are {known}") from error
        async with self.store.reading() as tx:
            found = await tx.incidents.list(status, MOST)
        return answer([views.IncidentView.of(incident) for incident in found])

    async def incident(self, request: web.Request) -> web.Response:
        """Show one incident."""
        number = _number(request)
        async with self.store.reading() as tx:
            incident = await tx.incidents.get(number)
            if incident is None:
                raise _missing(number)
            whole = views.IncidentDetail.whole(
                incident,
                await tx.episodes.of_incident(number),
                await tx.runs.of_incident(number),
                await tx.steps.of_incident(number),
                await tx.timeline.of_incident(number),
            )
        return answer(whole)

    async def report(self, request: web.Request) -> web.Response:
        """Render the post-incident report."""
        number = _number(request)
        async with self.store.reading() as tx:
            incident = await tx.incidents.get(number)
            if incident is None:
                raise _missing(number)
            text = render(
                incident,
                episodes=await tx.episodes.of_incident(number),
                runs=await tx.runs.of_incident(number),
                steps=await tx.steps.of_incident(number),
                timeline=await tx.timeline.of_incident(number),
                evidence=await tx.evidence.of_incident(number),
            )
        return web.Response(text=text, content_type="text/markdown", charset="utf-8")

    async def ack(self, request: web.Request) -> web.Response:
        """Acknowledge an incident."""
        number = _number(request)
        incident = await self.engine.ack(number, request[CALLER])
        if incident is None:
            raise _missing(number)
        return answer(views.IncidentView.of(incident))

    async def resolve(self, request: web.Request) -> web.Response:
        """Resolve an incident by hand."""
        number = _number(request)
        wanted = await _body(request, views.ResolveRequest)
        incident = await self.engine.resolve(number, request[CALLER], wanted.why)
        if incident is None:
            raise _missing(number, "open incident")
        return answer(views.IncidentView.of(incident))

    async def run(self, request: web.Request) -> web.Response:
        """Run, or only plan."""
        wanted = await _body(request, views.RunRequest)
        try:
            target = Target.parse(wanted.target)
        except ValueError as error:
            raise _refuse(str(error)) from error
        runbook = self._runbook(wanted)
        if wanted.plan:
            steps = await preview(self.engine.services, runbook, target)
            return answer(views.PreviewView(target=str(target), steps=steps))
        run = await self.engine.run(runbook, target, request[CALLER])
        return answer(views.RunView.of(run, []), status=202)

    async def actions(self, _request: web.Request) -> web.Response:
        """Name the actions."""
        return answer(list(self.engine.services.actions))

    async def kill_switch(self, _request: web.Request) -> web.Response:
        """Say whether the kill switch is on."""
        async with self.store.reading() as tx:
            switch = await tx.switches.get("kill")
        if switch is None:
            return answer(views.KillSwitchView(on=False))
        return answer(views.KillSwitchView(on=switch.on, by=switch.by, at=switch.at))

    async def set_kill_switch(self, request: web.Request) -> web.Response:
        """Turn the kill switch."""
        wanted = await _body(request, views.KillSwitchRequest)
        now = self.engine.services.now()
        async with self.store.transaction() as tx:
            await tx.switches.set("kill", on=wanted.on, by=request[CALLER], at=now)
        return answer(views.KillSwitchView(on=wanted.on, by=request[CALLER], at=now))

    def _runbook(self, wanted: views.RunRequest) -> Runbook:
        services = self.engine.services
        if bool(wanted.runbook) == bool(wanted.action):
            raise _refuse("name either a runbook or an action")
        if wanted.runbook:
            for runbook in services.policy.runbooks:
                if runbook.name == wanted.runbook:
                    return runbook
            known = ", ".join(runbook.name for runbook in services.policy.runbooks)
            raise _refuse(f"no runbook is named {wanted.runbook!r}; there are {known}")
        spec = services.actions.get(wanted.action)
        if spec is None:
            known = ", ".join(services.actions)
            raise _refuse(f"no action is named {wanted.action!r}; there are {known}")
        try:
            params = spec.params.model_validate(wanted.params)
        except ValidationError as error:
            raise _refuse(_first(error)) from error
        step = StepDef(wanted.action, params.model_dump(mode="json"))
        return Runbook(wanted.action, (), "", Mode.ACT, (step,), BY_HAND)


def answer(view: object, status: int = 200) -> web.Response:
    """Render a view (or a list of views) as JSON."""
    body = TypeAdapter(type(view)).dump_json(view)
    return web.Response(body=body, status=status, content_type="application/json")


def _number(request: web.Request) -> int:
    text = request.match_info["id"].upper().removeprefix("INC-")
    if not text.isdecimal():
        raise _refuse(f"{request.match_info['id']!r} is no incident; write 42 or INC-42")
    if len(text) > ID_DIGITS:
        raise web.HTTPNotFound(text="there is no incident with so long a number")
    return int(text)


async def _body(request: web.Request, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        raise _refuse(_first(error)) from error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    place = ".".join(map(str, found["loc"]))
    return f"{place}: {found['msg']}" if place else str(found["msg"])


def _refuse(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message)


def _missing(number: int, what: str = "incident") -> web.HTTPNotFound:
    return web.HTTPNotFound(text=f"there is no {what} {number}")
