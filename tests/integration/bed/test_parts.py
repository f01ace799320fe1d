import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import aiosmtplib
import asyncpg
import pytest

from tests.bed.alertmanager import Alertmanager, amtool
from tests.bed.load import Load
from tests.bed.postgres import Postgres
from tests.bed.process import BedError, Process, free_port, program, wait_until
from tests.bed.prometheus import Prometheus, Scrape, promtool
from tests.bed.sinks import Answer, HttpSink, SmtpSink
from tests.bed.task_manager.store import FAILURES

OWNER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.bed.alertmanager import Alertmanager
from tests.bed.postgres import Postgres
from tests.bed.prometheus import Prometheus

async def main():
    root = Path(sys.argv[1])
    async with (
        Postgres.start(root) as postgres,
        Prometheus.start(root),
        Alertmanager.start(root, {"route": {"receiver": "x"}, "receivers": [{"name": "x"}]}),
    ):
        await postgres.execute("SELECT 1")
        print("up", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def descendants(pid: int) -> dict[int, str]:
    """Return the living processes below `pid`, by id; a zombie is dead."""
    parents: dict[int, tuple[int, str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if state != "Z":
            parents[int(stat.parent.name)] = (int(parent), name)
    found: dict[int, str] = {}
    while fresh := {
        child: name
        for child, (parent, name) in parents.items()
        if (parent == pid or parent in found) and child not in found
    }:
        found |= fresh
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_nothing_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "owner.log"

    async def up() -> bool:
        return "up" in log.read_text()

    argv = [sys.executable, "-c", OWNER, str(tmp_path)]
    async with await Process.start(argv, log=log, name="owner", ready=up) as owner:
        below = descendants(owner.pid)
        assert {"postgres", "prometheus"} <= set(below.values())
        assert list(below.values()).count("postgres") > 3  # its own children too
        owner.send(signal.SIGKILL)

        async def gone() -> bool:
            return not any(map(alive, below))

        await wait_until(gone, 10, "all processes below the owner have ended")


async def test_a_process_that_dies_at_once_tells_its_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    argv = ["/bin/sh", "-c", "echo out of cheese; exit 3"]
    with pytest.raises(BedError, match=r"(?s)redo ended with 3.*out of cheese"):
        await Process.start(argv, log=tmp_path / "log", name="redo", ready=never)


async def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; wait; wait"
    log = tmp_path / "log"
    process = await Process.start(["/bin/sh", "-c", script], log=log, name="deaf")

    async def spoke() -> str:
        return log.read_text().strip()

    child = int(await wait_until(spoke, 5, "the child's id is printed"))
    process.send(signal.SIGTERM)
    assert alive(child)
    process.kill()
    assert await process.wait(5) == -signal.SIGKILL
    assert not alive(child)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(BedError, match=r"no-such-thing is missing.*make setup.*some-package"):
        program("no-such-thing", package="some-package")


async def test_waiting_in_vain_says_for_what_and_what_it_saw() -> None:
    async def nothing() -> list[int]:
        return []

    with pytest.raises(TimeoutError, match=r"not within 0 s: a miracle; last seen: \[\]"):
        await wait_until(nothing, 0, "a miracle")


async def test_postgres_refuses_and_allows_as_it_is_told(tmp_path: Path) -> None:
    async with Postgres.start(tmp_path) as postgres:
        dsn = await postgres.create_database("taskmanager")
        guest = await asyncpg.connect(dsn)
        await postgres.refuse_connections("taskmanager")
        with pytest.raises(FAILURES):
            await guest.fetch("SELECT 1")
        guest.terminate()
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
            await asyncpg.connect(dsn)
        assert (await postgres.execute("SELECT 7"))[0][0] == 7
        await postgres.allow_connections("taskmanager")
        assert (await postgres.execute("SELECT 8", "taskmanager"))[0][0] == 8


async def test_an_alert_goes_from_prometheus_through_alertmanager_to_a_sink(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    alert = {"alert": "Up", "expr": "up == 1", "labels": {"severity": "warning"}}
    rules.write_text(json.dumps({"groups": [{"name": "g", "rules": [alert]}]}))
    assert promtool("check", "rules", rules).returncode == 0
    route = {"receiver": "sink", "group_wait": "0s", "group_interval": "1s"}
    async with HttpSink.start() as sink:
        receiver = {"name": "sink", "webhook_configs": [{"url": f"{sink.url}/hook"}]}
        config = {"route": route, "receivers": [receiver]}
        async with (
            Alertmanager.start(tmp_path, config) as alertmanager,
            Prometheus.start(
                tmp_path,
                scrapes=[Scrape("self", alertmanager.url.removeprefix("http://"))],
                rules=[rules],
                alertmanagers=[alertmanager.url],
            ) as prometheus,
        ):
            assert (
                amtool("check-config", tmp_path / "alertmanager/alertmanager.yml").returncode == 0
            )

            async def delivered() -> bool:
                return bool(sink.received)

            await wait_until(delivered, 15, "the webhook arrives")
            assert sink.received[0].path == "/hook"
            assert isinstance(sink.received[0].json, dict)
            assert sink.received[0].json["status"] == "firing"
            assert [alert.state for alert in await prometheus.alerts()] == ["firing"]
            assert [target.health for target in await prometheus.targets()] == ["up"]
            assert (await alertmanager.alerts())[0].labels["alertname"] == "Up"
            await alertmanager.post_alerts([{"labels": {"alertname": "ByHand"}}])
            await prometheus.restart()
            assert await prometheus.query('count_over_time(up{job="self"}[1m]) > bool 0')
            assert await prometheus.query("scalar(vector(3))") == [({}, 3.0)]


async def test_the_http_sink_answers_by_script_then_as_before_then_not_at_all() -> None:
    async with HttpSink.start() as sink, aiohttp.ClientSession() as session:
        sink.answer(202)
        sink.answers([500, Answer(429, {"Retry-After": "3"})])
        seen = []
        for _ in range(3):
            async with session.post(f"{sink.url}/a?b=c", data=b"no json") as answer:
                seen.append((answer.status, answer.headers.get("Retry-After")))
        assert seen == [(500, None), (429, "3"), (202, None)]
        assert [(it.path, it.body, it.json) for it in sink.received] == [
            ("/a?b=c", b"no json", None)
        ] * 3
        sink.hang()
        with pytest.raises(TimeoutError):
            await session.get(sink.url, timeout=aiohttp.ClientTimeout(total=0.2))
        assert len(sink.received) == 4


async def test_the_smtp_sink_keeps_mail() -> None:
    async with SmtpSink.start() as sink:
        text = "Subject: INC-42\nMessage-ID: <1@bed>\n\nhelp\n"
        await aiosmtplib.send(
            text, sender="a@bed", recipients=["b@bed"], hostname=sink.host, port=sink.port
        )
    assert sink.messages[0]["Subject"] == "INC-42"
    assert sink.messages[0]["X-Rcpt-To"] == "b@bed"
    assert sink.messages[0].get_content().strip() == "help"


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    async with Postgres.start(tmp_path) as server:
        await server.create_database("taskmanager")
        yield server


async def start_app(root: Path, tag: str, dsn: str) -> tuple[Process, str]:
    url = f"http://127.7.7.7:{(port := free_port('127.7.7.7'))}"

    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    env = {"DATABASE_URL": dsn, "POD_IP": "127.7.7.7", "PORT": str(port)}
    argv = [sys.executable, "-m", "tests.bed.task_manager", "--tag", tag]
    return await Process.start(argv, log=root / tag, name=tag, env=env, ready=ready), url


async def counted(session: aiohttp.ClientSession, url: str, status: int) -> float:
    async with session.get(f"{url}/metrics") as answer:
        page = await answer.text()
    labels = f'method="GET",route="/tasks",status="{status}"'
    line = rf"^http_request_duration_seconds_count{{{labels}}} (.*)$"
    found = re.search(line, page, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


async def test_the_application_survives_its_database(tmp_path: Path, postgres: Postgres) -> None:
    process, url = await start_app(tmp_path, "v3", postgres.dsn("taskmanager"))
    async with process, aiohttp.ClientSession(url) as session:
        async with session.post("/tasks", json={"title": "a"}) as answer:
            assert answer.status == 201
            made = await answer.json()
        async with session.get(f"/tasks/{made['id']}") as answer:
            assert await answer.json() == {"id": made["id"], "title": "a", "done": False}
        for path, status in (("/tasks/99", 404), ("/docs", 200), ("/nothing", 404)):
            async with session.get(path) as answer:
                assert answer.status == status
        await postgres.refuse_connections("taskmanager")
        async with session.get("/tasks") as answer:
            assert answer.status == 500
        async with session.get("/health") as answer:
            assert answer.status == 200
        assert "ERROR GET /tasks 500 database: " in process.tail()
        assert await counted(session, "", 500) == 1
        await postgres.allow_connections("taskmanager")
        async with session.get("/tasks") as answer:
            assert answer.status == 200
        assert await process.stop() == 0


async def test_the_bad_release_fails_each_fifth_request(tmp_path: Path, postgres: Postgres) -> None:
    process, url = await start_app(tmp_path, "v4-errors", postgres.dsn("taskmanager"))
    async with process, aiohttp.ClientSession(url) as session:
        async with Load.start(lambda: [f"{url}/tasks"], rate=100, total=50) as load:

            async def done() -> bool:
                return load.answers.total() == 50

            await wait_until(done, 10, "50 answers")
        assert (load.sent, load.failed, load.answers) == (50, 10, {200: 40, 500: 10})
        assert await counted(session, "", 500) == 10


async def test_load_counts_what_nobody_answers_and_keeps_its_rate() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/tasks"
    urls: list[str] = []
    async with Load.start(lambda: urls, rate=50, seconds=0.5) as load:
        await asyncio.sleep(0.1)
        assert load.sent == 0
        urls.append(nowhere)

        async def some() -> bool:
            return load.failed >= 5

        await wait_until(some, 5, "five failures")
    assert load.sent <= 26
