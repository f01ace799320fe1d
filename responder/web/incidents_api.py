"""The API's handlers about incidents: each takes a parsed request and returns a view."""

from aiohttp import web

from responder.domain.incident import IncidentStatus
from responder.engine import people
from responder.engine.engine import Engine
from responder.report import render
from responder.store.database import Store
from responder.web import views
from responder.web.routing import CALLER, Route, answer, body, missing, number, refuse, target

MOST = 200
"""Incidents in one list."""


class IncidentsApi:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.services = engine.services
        self.store = engine.services.store

    def routes(self) -> tuple[Route, ...]:
        """Return every address with its handler."""
        return (*self._reads(), *self._acts())

    def _reads(self) -> tuple[Route, ...]:
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
        )

    def _acts(self) -> tuple[Route, ...]:
        incident = "/api/v1/incidents/{id}"
        return (
            Route(
                "POST",
                "/api/v1/incidents",
                "operator",
                "Open an incident for what a person reports, or join the one of its target.",
                self.open,
                views.IncidentView,
                views.OpenRequest,
                status=201,
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
                f"{incident}/hold",
                "operator",
                "Stop what alerts started before its next effect, until it is resumed.",
                self.hold,
                views.IncidentView,
                views.HoldRequest,
            ),
            Route(
                "POST",
                f"{incident}/resume",
                "operator",
                "End a hold.",
                self.resume,
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
                f"{incident}/decisions",
                "operator",
                "Write a decision down: who, what, why.",
                self.decide,
                views.FactView,
                views.DecisionRequest,
                status=201,
            ),
        )

    async def incidents(self, request: web.Request) -> web.Response:
        """List incidents."""
        wanted = request.query.get("status")
        try:
            status = {IncidentStatus(wanted)} if wanted else None
        except ValueError as error:
            known = ", ".join(IncidentStatus)
            raise refuse(f"{wanted!r} is no status; there are {known}") from error
        async with self.store.reading() as tx:
            found = await tx.incidents.list(status, MOST)
        return answer([views.IncidentView.of(incident) for incident in found])

    async def incident(self, request: web.Request) -> web.Response:
        """Show one incident."""
        wanted = number(request)
        async with self.store.reading() as tx:
            incident = await tx.incidents.get(wanted)
            if incident is None:
                raise missing(wanted)
            whole = views.IncidentDetail.whole(
                incident,
                await tx.episodes.of_incident(wanted),
                await tx.runs.of_incident(wanted),
                await tx.steps.of_incident(wanted),
                await tx.timeline.of_incident(wanted),
            )
        return answer(whole)

    async def report(self, request: web.Request) -> web.Response:
        """Render the post-incident report."""
        text = await report_of(self.store, number(request))
        return web.Response(text=text, content_type="text/markdown", charset="utf-8")

    async def open(self, request: web.Request) -> web.Response:
        """Open an incident by hand."""
        wanted = await body(request, views.OpenRequest)
        about = target(wanted.target) if wanted.target else None
        told = people.Report(wanted.title, wanted.severity, wanted.note, about)
        incident = await self.engine.report(told, request[CALLER])
        return answer(views.IncidentView.of(incident), status=201)

    async def ack(self, request: web.Request) -> web.Response:
        """Acknowledge an incident."""
        wanted = number(request)
        incident = await people.ack(self.services, wanted, request[CALLER])
        if incident is None:
            raise missing(wanted)
        return answer(views.IncidentView.of(incident))

    async def hold(self, request: web.Request) -> web.Response:
        """Hold an incident."""
        number_, wanted = number(request), await body(request, views.HoldRequest)
        incident = await people.hold(self.services, number_, request[CALLER], wanted.why)
        if incident is None:
            raise missing(number_, "open incident")
        return answer(views.IncidentView.of(incident))

    async def resume(self, request: web.Request) -> web.Response:
        """End a hold."""
        wanted = number(request)
        incident = await self.engine.resume(wanted, request[CALLER])
        if incident is None:
            raise missing(wanted)
        return answer(views.IncidentView.of(incident))

    async def resolve(self, request: web.Request) -> web.Response:
        """Resolve an incident by hand."""
        number_, wanted = number(request), await body(request, views.ResolveRequest)
        incident = await self.engine.resolve(number_, request[CALLER], wanted.why)
        if incident is None:
            raise missing(number_, "open incident")
        return answer(views.IncidentView.of(incident))

    async def decide(self, request: web.Request) -> web.Response:
        """Write a decision down."""
        number_, wanted = number(request), await body(request, views.DecisionRequest)
        by = request[CALLER]
        fact = await people.decide(self.services, number_, by, wanted.what, wanted.why)
        if fact is None:
            raise missing(number_)
        return answer(views.FactView.of(fact), status=201)


async def report_of(store: Store, wanted: int) -> str:
    """Return an incident's report, in Markdown. Raises HTTPNotFound."""
    async with store.reading() as tx:
        incident = await tx.incidents.get(wanted)
        if incident is None:
            raise missing(wanted)
        return render(
            incident,
            episodes=await tx.episodes.of_incident(wanted),
            runs=await tx.runs.of_incident(wanted),
            steps=await tx.steps.of_incident(wanted),
            timeline=await tx.timeline.of_incident(wanted),
            evidence=await tx.evidence.of_incident(wanted),
        )
