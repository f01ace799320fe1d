"""The life of an incident on a running responder: told, acked, reopened, ended, audited."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import aiohttp
import pytest
import pytest_asyncio

from exporter.shared.clock import SystemClock
from responder.domain.values import Json, JsonObject
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.responder import Alone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

POLICY = """
version: 1
targets:
  workload: {kind: $workload_type, namespace: $namespace, name: $workload}
runbooks:
  - name: forbidden
    match: ['alertname="Forbidden"']
    target: workload
    mode: act
    steps: [{restart: {}}]
    escalation: late
escalation:
  default: [{after: 0m, notify: [oncall-pager]}, {after: 20s, notify: [senior-pager]}]
  late: [{after: 2h, notify: [oncall-pager]}]
  slow: [{after: 0m, notify: [oncall-pager]}, {after: 2h, notify: [senior-pager]}]
gate: {namespaces: {allow: []}}
"""
YEAR_1 = "0001-01-01T00:00:00Z"
fingerprints = count(0xA000)


def clock_says(ago: float = 0) -> datetime:
    return SystemClock().now() - timedelta(seconds=ago)


@dataclass
class Alerts:
    """One alert as Alertmanager would deliver it, again and again."""

    alone: Alone
    name: str
    fingerprint: str
    severity: str = "critical"

    async def post(
        self, *, starts: datetime, ends: datetime | None = None, cluster: str = "", cut: int = 0
    ) -> None:
        labels = {"alertname": self.name, "severity": self.severity, "namespace": "default"}
        labels |= {"workload": "task-manager", "workload_type": "deployment"}
        if self.name != "Forbidden":
            del labels["workload"]
        if cluster:
            labels["cluster"] = cluster
        body: JsonObject = {
            "version": "4",
            "receiver": "runbookd",
            "truncatedAlerts": cut,
            "alerts": [
                {
                    "status": "resolved" if ends else "firing",
                    "labels": dict(labels),
                    "annotations": {},
                    "startsAt": starts.isoformat(),
                    "endsAt": ends.isoformat() if ends else YEAR_1,
                    "fingerprint": self.fingerprint,
                }
            ],
        }
        answer = await call(self.alone, "POST", "/api/v1/alerts", who="alertmanager", body=body)
        assert answer == (200, "stored\n")

    async def incidents(self) -> list[JsonObject]:
        _, found = await call(self.alone, "GET", "/api/v1/incidents", who="console")
        assert isinstance(found, list)
        named = f"{self.name} on "
        return [
            one for one in found if isinstance(one, dict) and str(one["title"]).startswith(named)
        ]

    async def once(self, status: str) -> JsonObject:
        """Wait for the alert's one incident to be in a status, and show it whole."""

        async def state() -> JsonObject | None:
            found = await self.incidents()
            assert len(found) <= 1
            return found[0] if found and found[0]["status"] == status else None

        found = await wait_until(state, 20, f"{self.name} is {status}")
        assert found is not None
        return await whole(self.alone, found["id"])

    def told(self, kind: str) -> list[tuple[str, str]]:
        """Return (receiver, text) of what the pager got about it."""
        return [
            (item.path.strip("/"), str(item.json["text"]))
            for item in self.alone.pager.received
            if isinstance(item.json, dict)
            and item.json["kind"] == kind
            and self.name in str(item.json["title"])
        ]

    async def until_told(self, kind: str, times: int = 1) -> list[tuple[str, str]]:
        async def enough() -> bool:
            return len(self.told(kind)) >= times

        await wait_until(enough, 20, f"{times} messages of kind {kind} about {self.name}")
        return self.told(kind)


async def call(
    alone: Alone, method: str, path: str, *, who: str, body: Json = None
) -> tuple[int, Json]:
    headers = {"Authorization": f"Bearer {alone.places.token(who)}"}
    async with (
        aiohttp.ClientSession(alone.responder.url, headers=headers) as session,
        session.request(method, path, json=body) as answer,
    ):
        as_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if as_json else await answer.text()


async def whole(alone: Alone, number: object) -> JsonObject:
    _, found = await call(alone, "GET", f"/api/v1/incidents/{number}", who="console")
    assert isinstance(found, dict)
    return found


def facts(incident: JsonObject) -> list[str]:
    lines = incident["timeline"]
    assert isinstance(lines, list)
    return [str(line["text"]) for line in lines if isinstance(line, dict)]


async def until_paged(alone: Alone, said: str, receiver: str = "oncall-pager") -> None:
    async def paged() -> bool:
        return any(
            said in str(item.json) and item.path == f"/{receiver}" for item in alone.pager.received
        )

    await wait_until(paged, 20, f"{receiver} was told: {said}")


@pytest.fixture(scope="module")
def impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESPONDER__ENGINE__AUDIT_INTERVAL", "1s")
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(
    tmp_path_factory: pytest.TempPathFactory,
    impatient: None,  # noqa: ARG001 - the responder inherits what it sets
    shared: Postgres | None,
) -> AsyncIterator[Alone]:
    policies = tmp_path_factory.mktemp("policies")
    (policies / "life.yaml").write_text(POLICY)
    root = tmp_path_factory.mktemp("life")
    async with beds.start(root, policies=policies, postgres=shared) as running:
        yield running


def alerts(alone: Alone, name: str) -> Alerts:
    return Alerts(alone, name, f"{next(fingerprints):016x}")


async def test_an_ack_is_kept_and_the_next_level_is_told_all_the_same(alone: Alone) -> None:
    odd = alerts(alone, "Acked")
    await odd.post(starts=clock_says(5))
    opened = await odd.once("open")
    for _ in range(2):
        path = f"/api/v1/incidents/{opened['id']}/ack"
        status, acked = await call(alone, "POST", path, who="oncall")
        assert status == 200
        assert isinstance(acked, dict)
        assert acked["acked_by"] == "oncall"
    pages = await odd.until_told("page", 2)
    assert [receiver for receiver, _ in pages] == ["oncall-pager", "senior-pager"]
    said = facts(await whole(alone, opened["id"]))
    assert said.count("Acknowledged by oncall.") == 1


async def test_a_run_that_is_refused_tells_a_later_level_1_at_once_and_why(alone: Alone) -> None:
    forbidden = alerts(alone, "Forbidden")
    await forbidden.post(starts=clock_says(5))
    ((receiver, text),) = await forbidden.until_told("page")
    assert receiver == "oncall-pager"
    assert "not in gate.namespaces.allow" in text


async def test_a_warning_neither_holds_a_critical_incident_open_nor_opens_it_again(
    alone: Alone,
) -> None:
    grave = alerts(alone, "Held")
    first = clock_says(60)
    await grave.post(starts=first)
    opened = await grave.once("open")
    lesser = replace(grave, fingerprint=f"{next(fingerprints):016x}", severity="warning")
    await lesser.post(starts=clock_says(50))
    await grave.post(starts=first, ends=clock_says(30))
    await grave.once("resolved")
    again = replace(grave, fingerprint=f"{next(fingerprints):016x}", severity="warning")
    await again.post(starts=clock_says(10))
    said = f"episode of {again.fingerprint} is known"

    async def joined() -> bool:
        return facts(await whole(alone, opened["id"])).count("Held fires.") == 3

    await wait_until(joined, 20, said)
    assert (await whole(alone, opened["id"]))["status"] == "resolved"


async def test_a_refire_within_the_cooldown_reopens_with_its_clocks_and_tells_people(
    alone: Alone,
) -> None:
    odd = alerts(alone, "Again")
    first = clock_says(60)
    await odd.post(starts=first)
    opened = await odd.once("open")
    await odd.until_told("page")
    await odd.post(starts=first, ends=clock_says(30))
    await odd.once("resolved")
    await odd.until_told("resolve")
    await odd.post(starts=clock_says(10))
    reopened = await odd.once("open")
    assert (reopened["id"], reopened["opened_at"]) == (opened["id"], opened["opened_at"])
    await until_paged(alone, "Opened again: Again fires within the cooldown.")


async def test_a_resolve_before_its_firing_and_a_late_one_change_nothing(alone: Alone) -> None:
    odd = alerts(alone, "Late")
    old = clock_says(300)
    await odd.post(starts=old, ends=clock_says(200))
    await odd.post(starts=clock_says(100))
    await odd.once("open")
    await odd.post(starts=old, ends=clock_says(200))
    await odd.post(starts=clock_says(20))  # a refire: only the start jumped
    await odd.post(starts=old, ends=clock_says(200))

    async def two() -> bool:
        (found,) = await odd.incidents()
        episodes = (await whole(alone, found["id"]))["episodes"]
        assert isinstance(episodes, list)
        ended = [bool(one["ended_at"]) for one in episodes if isinstance(one, dict)]
        return ended == [True, False]

    await wait_until(two, 20, "one episode is over and one is open")
    await odd.once("open")


async def test_an_operators_word_ends_an_incident_whose_alert_still_fires(alone: Alone) -> None:
    odd = alerts(alone, "Ended")
    await odd.post(starts=clock_says(5))
    opened = await odd.once("open")
    await odd.until_told("page")
    path = f"/api/v1/incidents/{opened['id']}/resolve"
    status, _ = await call(alone, "POST", path, who="oncall", body={"why": "known"})
    assert status == 200
    ended = await odd.once("resolved")
    assert "Resolved by oncall: known." in facts(ended)
    await odd.until_told("resolve")
    assert (await call(alone, "POST", path, who="oncall", body={"why": "known"}))[0] in (404, 409)


async def test_an_alert_of_another_cluster_opens_nothing_and_pages(alone: Alone) -> None:
    odd = alerts(alone, "Abroad")
    await odd.post(starts=clock_says(5), cluster="elsewhere")
    await until_paged(alone, "other_cluster: elsewhere")
    assert await odd.incidents() == []


async def test_a_truncated_group_is_told_to_people(alone: Alone) -> None:
    odd = alerts(alone, "Cut")
    await odd.post(starts=clock_says(5), cut=3)
    await odd.once("open")
    await until_paged(alone, "max_alerts")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer \udcff", 401), ("Basic \udcff", 401), ("Bearer", 401), ("", 401)],
)
async def test_a_strange_authorization_is_no_error(
    alone: Alone, authorization: str, status: int
) -> None:
    host, port = "127.0.0.1", alone.places.responder_port
    reader, writer = await asyncio.open_connection(host, port)
    head = f"GET /api/v1/incidents HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    line = f"Authorization: {authorization}\r\n\r\n"
    writer.write((head + line).encode(errors="surrogateescape"))
    answered = await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert int(answered.split()[1]) == status


@pytest.mark.parametrize("number", ["999999", "9" * 30])
async def test_an_incident_that_cannot_be_is_not_found(alone: Alone, number: str) -> None:
    assert (await call(alone, "GET", f"/api/v1/incidents/{number}", who="console"))[0] == 404


async def test_the_auditor_starts_an_incident_that_nobody_works_on(alone: Alone) -> None:
    levels = '[{"after_us": 0, "notify": ["oncall-pager"]}]'
    await alone.write(
        """INSERT INTO incidents (cluster, target_kind, target_namespace, target_name, status,
        title, severity, labels, opened_at, escalation, target_problem, resolved_by, acked_by,
        told_level, escalate_now) VALUES ('default', 'Alert', 'default', 'Lost', 'open',
        'Lost on it', 'critical', '{"alertname": "Lost"}', :at, :levels, '', '', '', 0, '')""",
        at=int(clock_says().timestamp() * 1e6),
        levels=levels,
    )
    await alerts(alone, "Lost").until_told("page")


async def test_the_auditor_pages_for_a_delivery_that_stays_in_the_inbox(alone: Alone) -> None:
    await alone.write(
        """INSERT INTO inbox (received_at, source, body, state, attempts, not_before, error)
        VALUES (:old, 'test', :body, 'pending', 1, :later, '')""",
        old=int(clock_says(600).timestamp() * 1e6),
        body=b"{}",
        later=int(clock_says(-900).timestamp() * 1e6),
    )
    await until_paged(alone, "Alerts wait in the inbox")


async def test_the_auditor_tells_others_of_a_receiver_that_does_not_get_its_messages(
    alone: Alone,
) -> None:
    await alone.write(
        """INSERT INTO outbox (key, receiver, incident_id, notification, created_at, state,
        attempts, next_at, error) SELECT 'stuck', 'oncall-pager', 0, notification, :old,
        'pending', 1, :later, '' FROM outbox LIMIT 1""",
        old=int(clock_says(600).timestamp() * 1e6),
        later=int(clock_says(-900).timestamp() * 1e6),
    )
    await until_paged(alone, "Messages do not reach oncall-pager", "senior-pager")


async def test_a_message_that_is_given_up_is_told_to_others(alone: Alone) -> None:
    await alone.write(
        """INSERT INTO outbox (key, receiver, incident_id, notification, created_at, state,
        attempts, next_at, error) SELECT 'given-up', 'nobody', 0, notification, :now,
        'pending', 0, :now, '' FROM outbox LIMIT 1""",
        now=int(clock_says().timestamp() * 1e6),
    )
    await until_paged(alone, "Messages do not reach nobody")
