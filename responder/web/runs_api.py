"""The API's handlers about runs and the kill switch."""

from datetime import timedelta

from aiohttp import web
from pydantic import ValidationError

from responder.domain.policy import Limits, Mode, Runbook, StepDef
from responder.domain.values import JsonObject
from responder.engine import people
from responder.engine.engine import Engine
from responder.engine.preview import preview
from responder.engine.services import Services
from responder.web import views
from responder.web.routing import CALLER, Route, answer, body, first, refuse, target

BY_HAND = Limits(cooldown=timedelta(0))
"""For an action that a person names: who is on it need not wait for what was tried before. Budgets
and everything else of the gate hold."""


class RunsApi:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.services = engine.services

    def routes(self) -> tuple[Route, ...]:
        """Return every address with its handler."""
        return (
            Route(
                "POST",
                "/api/v1/runs",
                "operator",
                "Run a runbook or an action on a target, or only plan it (answered with 200).",
                self.run,
                views.RunView | views.PreviewView,
                views.RunRequest,
                status=202,
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

    async def run(self, request: web.Request) -> web.Response:
        """Run, or only plan."""
        wanted = await body(request, views.RunRequest)
        on = target(wanted.target)
        if bool(wanted.runbook) == bool(wanted.action):
            raise refuse("name either a runbook or an action")
        if wanted.runbook:
            runbook = runbook_named(self.services, wanted.runbook)
        else:
            runbook = one_action(self.services, wanted.action, wanted.params)
        if wanted.plan:
            steps = await preview(self.services, runbook, on)
            return answer(views.PreviewView(target=str(on), steps=steps))
        run = await self.engine.run(runbook, on, request[CALLER])
        return answer(views.RunView.of(run, []), status=202)

    async def actions(self, _request: web.Request) -> web.Response:
        """Name the actions."""
        return answer(list(self.services.actions))

    async def kill_switch(self, _request: web.Request) -> web.Response:
        """Say whether the kill switch is on."""
        async with self.services.store.reading() as tx:
            switch = await tx.switches.get("kill")
        return answer(views.KillSwitchView.of(switch))

    async def set_kill_switch(self, request: web.Request) -> web.Response:
        """Turn the kill switch."""
        wanted = await body(request, views.KillSwitchRequest)
        switch = await people.turn_kill_switch(
            self.services, on=wanted.on, by=request[CALLER], reason=wanted.reason
        )
        return answer(views.KillSwitchView.of(switch))


def runbook_named(services: Services, name: str) -> Runbook:
    """Return a runbook of the policy. Raises HTTPBadRequest naming those there are."""
    for runbook in services.policy.runbooks:
        if runbook.name == name:
            return runbook
    known = ", ".join(runbook.name for runbook in services.policy.runbooks)
    raise refuse(f"no runbook is named {name!r}; there are {known}")


def one_action(services: Services, name: str, params: JsonObject) -> Runbook:
    """Return the runbook of one action, its parameters checked. Raises HTTPBadRequest."""
    spec = services.actions.get(name)
    if spec is None:
        raise refuse(f"no action is named {name!r}; there are {', '.join(services.actions)}")
    try:
        validated = spec.params.model_validate(params)
    except ValidationError as error:
        raise refuse(first(error)) from error
    step = StepDef(name, validated.model_dump(mode="json"))
    return Runbook(name, (), "", Mode.ACT, (step,), BY_HAND)
