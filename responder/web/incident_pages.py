"""The pages about incidents: what is open, one whole, its report; and what people do to it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from aiohttp import web

from responder.domain.incident import Incident, IncidentStatus
from responder.domain.values import incident_name
from responder.engine import people
from responder.engine.engine import Engine
from responder.web import shown, views
from responder.web.chart import Chart, Mark, draw
from responder.web.frame import Frame, Page, Visit
from responder.web.incidents_api import report_of
from responder.web.kpis import FINEST, SAMPLES, History, Kpis, subject_of
from responder.web.paper import markdown
from responder.web.routing import missing, number, parsed, target

OPEN_SHOWN = 50
ENDED_SHOWN = 15
CHARTS = 3
"""On one page: the KPIs that the runbooks verify, and few runbooks verify more."""


class IncidentPages:
    """Handlers over one engine."""

    def __init__(self, frame: Frame, engine: Engine, kpis: Kpis) -> None:
        self._frame = frame
        self._engine = engine
        self._services = engine.services
        self._kpis = kpis

    def pages(self) -> tuple[Page, ...]:
        """Return every address with its handler."""
        incident = "/incidents/{id}"
        return (
            Page("GET", "/", "viewer", self.incidents),
            Page("GET", incident, "viewer", self.incident),
            Page("GET", f"{incident}/report", "viewer", self.report),
            Page("GET", "/open", "operator", self.form),
            Page("POST", "/open", "operator", self.open),
            Page("POST", f"{incident}/ack", "operator", self.ack),
            Page("POST", f"{incident}/hold", "operator", self.hold),
            Page("POST", f"{incident}/resume", "operator", self.resume),
            Page("POST", f"{incident}/resolve", "operator", self.resolve),
            Page("POST", f"{incident}/decisions", "operator", self.decide),
        )

    async def incidents(self, visit: Visit) -> web.StreamResponse:
        """Show what is open, how the KPIs stand, and what ended lately."""
        board = asyncio.create_task(self._kpis.board())
        now = self._services.now()
        async with self._services.store.reading() as tx:
            opened = await tx.incidents.list({IncidentStatus.OPEN}, OPEN_SHOWN)
            count = await tx.incidents.count_open()
            ended = await tx.incidents.list(
                {IncidentStatus.RESOLVED, IncidentStatus.CLOSED}, ENDED_SHOWN
            )
            numbers = [incident.id for incident in opened]
            runs = await tx.runs.of_incidents(numbers)
            steps = await tx.steps.unfinished_of(numbers)
        cards = [shown.card(incident, runs, steps, now) for incident in opened]
        return await self._frame.page(
            visit,
            "incidents.html",
            cards=sorted(cards, key=lambda one: one.gravity),
            count=count,
            ended=[shown.card(incident, [], [], now) for incident in ended],
            board=await board,
        )

    async def incident(self, visit: Visit) -> web.StreamResponse:
        """Show one incident whole."""
        wanted = number(visit.request)
        now = self._services.now()
        async with self._services.store.reading() as tx:
            incident = await tx.incidents.get(wanted)
            if incident is None:
                raise missing(wanted)
            episodes = await tx.episodes.of_incident(wanted)
            runs = await tx.runs.of_incident(wanted)
            steps = await tx.steps.of_incident(wanted)
            timeline = await tx.timeline.of_incident(wanted)
            evidence = await tx.evidence.of_incident(wanted)
        unfinished = [step for step in steps if step.outcome is None]
        span = shown.span(incident, episodes, now)
        marks = shown.marks(incident, episodes, timeline)
        return await self._frame.page(
            visit,
            "incident.html",
            card=shown.card(incident, runs, unfinished, now),
            episodes=episodes,
            runs=[shown.run(one, steps) for one in reversed(runs)],
            phases=shown.phases(timeline),
            evidence=evidence,
            charts=await self._charts(incident, shown.kpis(incident, runs), span, marks),
        )

    async def report(self, visit: Visit) -> web.StreamResponse:
        """Show the post-incident report."""
        wanted = number(visit.request)
        text = await report_of(self._services.store, wanted)
        return await self._frame.page(
            visit,
            "paper.html",
            title=f"Report of {incident_name(wanted)}",
            html=markdown(text),
            back=incident_name(wanted),
        )

    async def form(self, visit: Visit) -> web.StreamResponse:
        """Ask what is wrong."""
        return await self._frame.page(
            visit, "open.html", severities=views.SEVERITIES, targets=await self._kpis.targets()
        )

    async def open(self, visit: Visit) -> web.StreamResponse:
        """Open an incident by hand."""
        wanted = parsed(views.OpenRequest, visit.form)
        about = target(wanted.target) if wanted.target else None
        told = people.Report(wanted.title, wanted.severity, wanted.note, about)
        incident = await self._engine.report(told, visit.name)
        raise _back(incident.id)

    async def ack(self, visit: Visit) -> web.StreamResponse:
        """Acknowledge an incident."""
        wanted = number(visit.request)
        if await people.ack(self._services, wanted, visit.name) is None:
            raise missing(wanted)
        raise _back(wanted)

    async def hold(self, visit: Visit) -> web.StreamResponse:
        """Hold an incident."""
        wanted, said = number(visit.request), parsed(views.HoldRequest, visit.form)
        if await people.hold(self._services, wanted, visit.name, said.why) is None:
            raise missing(wanted, "open incident")
        raise _back(wanted)

    async def resume(self, visit: Visit) -> web.StreamResponse:
        """End a hold."""
        wanted = number(visit.request)
        if await self._engine.resume(wanted, visit.name) is None:
            raise missing(wanted)
        raise _back(wanted)

    async def resolve(self, visit: Visit) -> web.StreamResponse:
        """Resolve an incident by hand."""
        wanted, said = number(visit.request), parsed(views.ResolveRequest, visit.form)
        if await self._engine.resolve(wanted, visit.name, said.why) is None:
            raise missing(wanted, "open incident")
        raise _back(wanted)

    async def decide(self, visit: Visit) -> web.StreamResponse:
        """Write a decision down."""
        wanted, said = number(visit.request), parsed(views.DecisionRequest, visit.form)
        if await people.decide(self._services, wanted, visit.name, said.what, said.why) is None:
            raise missing(wanted)
        raise _back(wanted)

    async def _charts(
        self,
        incident: Incident,
        kpis: Sequence[str],
        span: tuple[datetime, datetime],
        marks: Sequence[Mark],
    ) -> list[tuple[History, Chart]]:
        step = max((span[1] - span[0]) / SAMPLES, FINEST)
        subjects = {
            kpi: subject
            for kpi in kpis[:CHARTS]
            if (subject := subject_of(kpi, incident.target, incident.labels)) is not None
        }
        found = await asyncio.gather(
            *(self._kpis.history(kpi, subject, span, step) for kpi, subject in subjects.items())
        )
        return [
            (one, draw(one.points, span=span, step=step, target=one.target, marks=marks))
            for one in found
        ]


def _back(incident_id: int) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(f"/incidents/{incident_name(incident_id)}")
