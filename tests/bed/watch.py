"""What the bed shows from outside: incidents, KPIs, and who was told."""

import asyncio

from responder.client import ApiClient
from responder.domain.values import Json, JsonObject
from tests.bed import manifests
from tests.bed.bed import Bed

KPI = "error_ratio"
"""The KPI that the scenarios are about."""


def client(bed: Bed) -> ApiClient:
    """Return an operator's way to the responder."""
    return ApiClient(bed.responder.url, bed.places.token_file("oncall"))


async def call(bed: Bed, path: str, body: Json = None) -> Json:
    """GET a path of the API, or POST a body to it."""
    method = "GET" if body is None else "POST"
    return await asyncio.to_thread(client(bed).call, method, path, body)


async def incident(bed: Bed) -> JsonObject | None:
    """Return the incident on task-manager, once there is one."""
    found = await call(bed, "/api/v1/incidents")
    mine = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and item["target"] == mine:
            return item
    return None


async def timeline(bed: Bed) -> list[JsonObject]:
    """Return the facts of that incident, oldest first."""
    found = await incident(bed)
    if found is None:
        return []
    whole = await call(bed, f"/api/v1/incidents/{found['id']}")
    facts = whole["timeline"] if isinstance(whole, dict) else None
    return [fact for fact in facts if isinstance(fact, dict)] if isinstance(facts, list) else []


async def within(bed: Bed) -> bool:
    """Say whether the KPI is within its target, as the recording rule sees it."""
    value = await bed.prometheus.query(f"namespace_workload:kpi_{KPI}:rate")
    target = await bed.prometheus.query(f'max(kpi_target{{kpi="{KPI}"}})')
    return bool(value and target) and value[0][1] < target[0][1]


async def healthy(bed: Bed) -> bool:
    up = await bed.prometheus.query(
        'min(up) == 1 and on () (kpi_source_up{collector="app_metrics"} == 1)'
    )
    return bool(up) and await within(bed) and await bed.rolled_out()


def pages(bed: Bed) -> list[dict[str, object]]:
    """Return what reached the pager's sink, with the receiver that it was sent to."""
    return [
        {**item.json, "receiver": item.path.strip("/")}
        for item in bed.pager.received
        if isinstance(item.json, dict)
    ]


def paged(bed: Bed) -> list[tuple[int, str]]:
    """Return (level, receiver) of every page that reached a sink, repeats included."""
    pager = [
        (int(str(item["level"])), str(item["receiver"]))
        for item in pages(bed)
        if item["kind"] == "page"
    ]
    mails = [
        (3 if "manager@" in str(mail["X-Rcpt-To"]) else 1, str(mail["X-Rcpt-To"]))
        for mail in bed.mail.messages
        if "[page]" in str(mail["Subject"])
    ]
    return sorted(pager + mails)
