"""What people do to incidents on a running responder: report, hold, take over, decide, resolve."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from exporter.shared.clock import SystemClock
from responder.cli import app
from responder.domain.values import Json, JsonObject
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.responder import Alone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

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
  - name: look-at-it
    match: ['alertname="UserReport"', 'severity="critical"']
    target: workload
    steps: [{collect_evidence: {}}]
escalation:
  default: [{after: 0m, notify: [oncall-pager]}, {after: 2h, notify: [senior-pager]}]
gate: {namespaces: {allow: [default]}, budget: {cluster_per_hour: 100}, hold: 10s}
"""
TARGET = "deployment/default/task-manager"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
fingerprints = count(0xB000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(
    tmp_path_factory: pytest.TempPathFactory, shared: Postgres | None
) -> AsyncIterator[Alone]:
    policies = tmp_path_factory.mktemp("policies")
    (policies / "people.yaml").write_text(POLICY)
    root = tmp_path_factory.mktemp("people")
    async with beds.start(root, policies=policies, postgres=shared) as running:
        yield running


async def act(alone: Alone, path: str, body: Json = None, *, status: int = 200) -> JsonObject:
    answered, found = await alone.call("POST", f"/api/v1{path}", who="oncall", body=body)
    assert (answered, isinstance(found, dict)) == (status, True), found
    assert isinstance(found, dict)
    return found


async def whole(alone: Alone, number: Json) -> JsonObject:
    _, found = await alone.call("GET", f"/api/v1/incidents/{number}", who="console")
    assert isinstance(found, dict)
    return found


async def report(alone: Alone, title: str, **more: str) -> JsonObject:
    return await act(alone, "/incidents", {"title": title, **more}, status=201)


async def fire(alone: Alone) -> None:
    labels = {"alertname": "Broken", "severity": "critical", "namespace": "default"}
    labels |= {"workload": "task-manager", "workload_type": "deployment"}
    alert: JsonObject = {
        "status": "firing",
        "labels": dict(labels),
        "annotations": {},
        "startsAt": SystemClock().now().isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{next(fingerprints):016x}",
    }
    body: JsonObject = {"version": "4", "receiver": "x", "truncatedAlerts": 0, "alerts": [alert]}
    answer = await alone.call("POST", "/api/v1/alerts", who="alertmanager", body=body)
    assert answer[0] == 200


async def until_said(alone: Alone, number: Json, text: str) -> JsonObject:
    async def said() -> JsonObject | None:
        found = await whole(alone, number)
        return found if any(text in line for line in lines(found)) else None

    found = await wait_until(said, 20, f"the timeline says {text!r}")
    assert found is not None
    return found


def lines(incident: JsonObject) -> list[str]:
    timeline = incident["timeline"]
    assert isinstance(timeline, list)
    return [str(fact["text"]) for fact in timeline if isinstance(fact, dict)]


def results(incident: JsonObject) -> list[str]:
    runs = incident["runs"]
    assert isinstance(runs, list)
    return [str(run["result"]) for run in runs if isinstance(run, dict)]


async def restarted(alone: Alone) -> object:
    spec = (await alone.deployment())["spec"]
    assert isinstance(spec, dict)
    return spec["template"]["metadata"].get("annotations", {}).get(RESTARTED)


async def held(alone: Alone) -> JsonObject:
    """Have an incident whose runbook stands before its effect, held by a person."""

    async def no_other_lives() -> bool:
        _, found = await alone.call("GET", "/api/v1/incidents", who="console")
        assert isinstance(found, list)
        mine = [one for one in found if isinstance(one, dict) and one["target"] == TARGET]
        return all(one["status"] == "closed" for one in mine)

    await wait_until(no_other_lives, 20, "the incident before is over for good")
    opened = await report(alone, "it looks odd", target=TARGET)
    answered = await act(alone, f"/incidents/{opened['id']}/hold", {"why": "looking at it"})
    assert answered["held_by"] == "oncall"
    await fire(alone)
    return await until_said(alone, opened["id"], "held: a person holds the incident (oncall)")


async def test_a_report_without_a_target_only_tells_people_until_a_person_ends_it(
    alone: Alone,
) -> None:
    opened = await report(alone, "Users cannot log in.", note="Three calls.", severity="critical")
    assert opened["title"] == "Users cannot log in."

    async def paged() -> bool:
        return any("Users cannot log in" in str(one.json) for one in alone.pager.received)

    await wait_until(paged, 20, "level 1 was told")
    found = await whole(alone, opened["id"])
    assert (found["status"], found["runs"]) == ("open", [])
    assert "Reported by oncall: Users cannot log in. Three calls." in lines(found)
    ended = await act(alone, f"/incidents/{opened['id']}/resolve", {"why": "a password"})
    assert ended["status"] == "resolved"
    episodes = (await whole(alone, opened["id"]))["episodes"]
    assert isinstance(episodes, list)
    assert all(isinstance(one, dict) and one["ended_at"] for one in episodes)


async def test_a_report_that_a_runbook_matches_is_worked_on_like_an_alert(alone: Alone) -> None:
    opened = await report(alone, "odd", target="deployment/default/other", severity="critical")
    assert opened["runbook"] == "look-at-it"
    found = await until_said(alone, opened["id"], "ended completed")
    assert found["status"] == "open"  # until a person says so
    await act(alone, f"/incidents/{opened['id']}/resolve")


async def test_a_hold_stops_the_effect_until_it_is_resumed(alone: Alone) -> None:
    before = await restarted(alone)
    incident = await held(alone)
    path, until = f"/incidents/{incident['id']}", SystemClock().now() + timedelta(seconds=2)

    async def outlasts_the_gates_hold() -> bool:
        return SystemClock().now() > until

    await wait_until(outlasts_the_gates_hold, 5, "twice the gate's own hold, which is 1 s here")
    assert results(await whole(alone, incident["id"])) == [""]
    assert await restarted(alone) == before
    assert (await act(alone, f"{path}/resume"))["held_by"] == ""
    found = await until_said(alone, incident["id"], "ended completed")
    assert await restarted(alone) != before
    said = lines(found)
    order = [next(i for i, line in enumerate(said) if word in line) for word in STORY]
    assert order == sorted(order)
    await act(alone, f"{path}/resolve")


STORY = ("Held by oncall: looking at it.", "held: a person", "Resumed by oncall.", "Applied:")


async def test_resolving_a_held_incident_leaves_the_effect_undone(alone: Alone) -> None:
    before = await restarted(alone)
    incident = await held(alone)
    await act(alone, f"/incidents/{incident['id']}/resolve", {"why": "a false alarm"})
    found = await until_said(alone, incident["id"], "ended stopped")
    assert results(found) == ["stopped"]
    assert await restarted(alone) == before
    assert found["held_by"] == ""


async def test_a_person_who_holds_an_incident_can_act_on_its_target(alone: Alone) -> None:
    incident = await held(alone)
    before = await restarted(alone)
    await act(alone, "/runs", {"action": "restart", "target": TARGET}, status=202)

    async def acted() -> JsonObject | None:
        found = await whole(alone, incident["id"])
        return found if results(found) == ["refused", "completed"] else None

    await wait_until(acted, 30, "the runbook gave way to the person's run")
    assert await restarted(alone) != before
    await act(alone, f"/incidents/{incident['id']}/resolve")


async def test_the_command_line_says_what_the_api_does(alone: Alone) -> None:
    token = str(alone.places.token_file("oncall"))
    reach = ["--url", alone.responder.url, "--token-file", token]

    async def told(*words: str) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, app, [*words, *reach])
        assert result.exit_code == 0, result.output
        return result.output.strip()

    said = await told("incidents", "open", "It smells", "--note", "of smoke")
    name = said.partition(" ")[0]
    assert said == f"{name} is open: It smells"
    assert await told("incidents", "hold", name, "--why", "let me") == f"{name} held by oncall"
    assert await told("incidents", "resume", name) == f"{name} goes on"
    note = await told("incidents", "note", name, "call the fire brigade", "--why", "it burns")
    assert note == "oncall decided: call the fire brigade, because it burns."
    assert await told("kill-switch", "on", "--reason", "fire") == "kill switch is on"
    assert (await told("kill-switch", "status")).endswith(": fire")
    assert await told("kill-switch", "off") == "kill switch is off"
    assert await told("incidents", "resolve", name, "--why", "put out") == f"{name} resolved"
    whole_ = lines(await whole(alone, name))
    assert "Resolved by oncall: put out." in whole_


async def test_a_decision_is_a_fact_with_its_author_once(alone: Alone) -> None:
    opened = await report(alone, "slow again")
    path = f"/incidents/{opened['id']}"
    decision: Json = {"what": "Wait for the vendor.", "why": "a restart loses the queue"}
    for _ in range(2):
        fact = await act(alone, f"{path}/decisions", decision, status=201)
        assert (fact["actor"], fact["phase"]) == ("oncall", "Investigation")
    text = "oncall decided: Wait for the vendor, because a restart loses the queue."
    assert lines(await whole(alone, opened["id"])).count(text) == 1
    await act(alone, f"{path}/resolve")
    later = await act(alone, f"{path}/decisions", {"what": "buy another"}, status=201)
    assert later["phase"] == "Post-Incident"


async def test_the_kill_switch_says_why_and_every_open_incident_knows(alone: Alone) -> None:
    opened = await report(alone, "all is odd")
    for on, reason in ((True, "the cluster is being moved"), (False, "moved")):
        body: Json = {"on": on, "reason": reason}
        status, _ = await alone.call("PUT", "/api/v1/kill-switch", who="oncall", body=body)
        assert status == 200
    _, state = await alone.call("GET", "/api/v1/kill-switch", who="console")
    assert isinstance(state, dict)
    assert (state["on"], state["by"], state["reason"]) == (False, "oncall", "moved")
    said = lines(await whole(alone, opened["id"]))
    assert "Kill switch turned on by oncall: the cluster is being moved." in said
    await act(alone, f"/incidents/{opened['id']}/resolve")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/incidents", {"title": " "}, 400),
        ("/incidents", {"title": "x", "target": "web"}, 400),
        ("/incidents", {"title": "x", "severity": "bad"}, 400),
        ("/incidents", {"title": "x" * 201}, 400),
        ("/incidents/99999/hold", {}, 404),
        ("/incidents/99999/resume", None, 404),
        ("/incidents/99999/decisions", {"what": "x"}, 404),
        ("/incidents/99999/decisions", {"what": ""}, 400),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(
    alone: Alone, path: str, body: Json, status: int
) -> None:
    assert (await act(alone, path, body, status=status))["error"]


@pytest.mark.parametrize("verb", ["hold", "resume", "decisions", "resolve"])
async def test_a_viewer_changes_nothing(alone: Alone, verb: str) -> None:
    path = f"/api/v1/incidents/1/{verb}"
    assert (await alone.call("POST", path, who="console", body={}))[0] == 403
