"""What the bed shows from outside: incidents, KPIs, and who was told."""

import asyncio

from exporter.kpi import CATALOGUE
from responder.actions.restart import RESTARTED_AT
from responder.client import ApiClient
from responder.domain.values import Json, JsonObject
from tests.bed import manifests
from tests.bed.bed import Bed
from tests.bed.process import wait_until

TASK_MANAGER = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"

HEALTHY = 'namespace_workload_template:kpi_healthy_timestamp_seconds:max{workload="task-manager"}'
"""Has a series while the running release is known to have been healthy for five minutes."""


def client(bed: Bed) -> ApiClient:
    """Return an operator's way to the responder."""
    return ApiClient(bed.api, bed.places.token_file("oncall"))


async def call(bed: Bed, path: str, body: Json = None) -> Json:
    """GET a path of the API, or POST a body to it."""
    method = "GET" if body is None else "POST"
    return await asyncio.to_thread(client(bed).call, method, path, body)


async def incidents(bed: Bed) -> list[JsonObject]:
    """Return every incident."""
    found = await call(bed, "/api/v1/incidents")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


async def targets(bed: Bed) -> list[str]:
    """Return what the incidents are about."""
    return [str(item["target"]) for item in await incidents(bed)]


async def incident(bed: Bed, target: str = TASK_MANAGER) -> JsonObject | None:
    """Return the incident on a target, by default on task-manager, once there is one."""
    return next((item for item in await incidents(bed) if item["target"] == target), None)


async def timeline(bed: Bed, target: str = TASK_MANAGER) -> list[JsonObject]:
    """Return the facts of that incident, oldest first."""
    found = await incident(bed, target)
    if found is None:
        return []
    whole = await call(bed, f"/api/v1/incidents/{found['id']}")
    facts = whole["timeline"] if isinstance(whole, dict) else None
    return [fact for fact in facts if isinstance(fact, dict)] if isinstance(facts, list) else []


async def results(bed: Bed, target: str = TASK_MANAGER) -> list[str]:
    """Return how the runs of that incident ended, in their order."""
    found = await timeline(bed, target)
    ends = [fact["facts"] for fact in found if fact["kind"] == "run_ended"]
    return [str(end["result"]) for end in ends if isinstance(end, dict)]


async def evidence(bed: Bed) -> dict[str, str]:
    """Return that incident's evidence by name, as far as its report shows it."""
    found = await incident(bed)
    if found is None:
        return {}
    path = f"/api/v1/incidents/{found['id']}/report"
    report = await asyncio.to_thread(client(bed).text, path)
    pieces = report.partition("\n## Evidence\n")[2].split("\n### ")[1:]
    parts = (piece.partition("\n") for piece in pieces)
    return {heading.rpartition(" (")[0]: text for heading, _, text in parts}


async def within(bed: Bed, kpi: str) -> bool:
    """Say whether a KPI is within its target, as the recording rule sees it."""
    value = await bed.prometheus.query(_recorded(kpi))
    target = await bed.prometheus.query(f'max(kpi_target{{kpi="{kpi}"}})')
    return bool(value and target) and CATALOGUE[kpi].within(value[0][1], target[0][1])


def _recorded(kpi: str) -> str:
    """Return the recording rule; of what is known of every workload, that of task-manager."""
    if CATALOGUE[kpi].subject == ("database",):
        return f"database:kpi_{kpi}:rate"
    of = f'namespace="{manifests.NAMESPACE}", workload="{manifests.NAME}"'
    return f"namespace_workload:kpi_{kpi}:rate{{{of}}}"


async def generation(bed: Bed) -> object:
    """Return how often the wish for task-manager was changed."""
    metadata = (await bed.deployment())["metadata"]
    return metadata["generation"] if isinstance(metadata, dict) else None


async def restarted_at(bed: Bed) -> str:
    """Return when task-manager was last restarted as kubectl does it, or nothing."""
    spec = (await bed.deployment())["spec"]
    template = spec["template"]["metadata"] if isinstance(spec, dict) else {}
    return str(template.get("annotations", {}).get(RESTARTED_AT, ""))


async def healthy(bed: Bed, kpi: str) -> bool:
    """Say whether everything is scraped, the KPI is well and the application is rolled out."""
    up = await bed.prometheus.query(
        'min(up) == 1 and on () (kpi_source_up{collector="app_metrics"} == 1)'
    )
    return bool(up) and await within(bed, kpi) and await bed.rolled_out()


async def until_healthy(bed: Bed, kpi: str = "error_ratio") -> None:
    """Wait until nothing stands in the way of a scenario. Raises BedError after 90 s."""
    await wait_until(lambda: healthy(bed, kpi), 90, "every KPI is within its target")


def pages(bed: Bed) -> list[dict[str, object]]:
    """Return what reached the pager's sink, with the receiver that it was sent to."""
    return [
        {**item.json, "receiver": item.path.strip("/")}
        for item in bed.pager.received
        if isinstance(item.json, dict)
    ]


def paged(bed: Bed, target: str = TASK_MANAGER) -> list[tuple[int, str]]:
    """Return (level, receiver) of every page about a target that reached a sink.

    Repeats are included; what a scenario breaks besides has incidents, and pages, of its own.
    """
    about = f"on {target}"
    pager = [
        (int(str(item["level"])), str(item["receiver"]))
        for item in pages(bed)
        if item["kind"] == "page" and about in str(item["title"])
    ]
    mails = [
        (3 if "manager@" in str(mail["X-Rcpt-To"]) else 1, str(mail["X-Rcpt-To"]))
        for mail in bed.mail.messages
        if "[page]" in str(mail["Subject"]) and about in str(mail["Subject"])
    ]
    return sorted(pager + mails)
