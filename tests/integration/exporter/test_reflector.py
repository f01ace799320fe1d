"""The reflector over a real connection, against an API server that does its worst."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from exporter.shared.kube_client import KubeConnection
from exporter.watch.api import KubeReads
from exporter.watch.objects import Node, ReplicaSet, Watched
from exporter.watch.reflector import Reflector
from tests.bed.process import wait_until
from tests.bed.scripted_api import Answer, ScriptedApi, bookmark, event, refusal, status

QUIET = timedelta(seconds=0.4)
"""Silence that the reflector bears with in these tests."""


class HastyClock:
    """Real time, but waits are only written down."""

    def __init__(self) -> None:
        self.slept: list[timedelta] = []
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now()

    def monotonic(self) -> float:
        return self._real.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        await asyncio.sleep(0)


class Notebook:
    """A handler that keeps what a publisher would, and all that it was told."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.told: list[str] = []
        self.failures: list[str] = []
        self.smallest_since_sync: int | None = None
        self._marked: set[str] = set()

    def on_object(self, obj: Watched) -> None:
        self.told.append(f"object {obj.metadata.uid}")
        self.known[obj.metadata.uid] = obj.metadata.resource_version
        self._marked.add(obj.metadata.uid)

    def on_delete(self, uid: str) -> None:
        self.told.append(f"delete {uid}")
        self.known.pop(uid, None)
        self._weigh()

    def begin(self) -> None:
        self.told.append("begin")
        self._marked = set()

    def sweep(self) -> None:
        self.told.append("sweep")
        self.known = {uid: at for uid, at in self.known.items() if uid in self._marked}
        self._weigh()

    def alive(self) -> None:
        self.told.append("alive")

    def failed(self, reason: str) -> None:
        self.told.append(f"failed {reason}")
        self.failures.append(reason)

    def _weigh(self) -> None:
        before = self.smallest_since_sync
        self.smallest_since_sync = (
            len(self.known) if before is None else min(before, len(self.known))
        )


class Stage:
    """An API with its script, a reflector on it, and what that one tells."""

    def __init__(self, api: ScriptedApi, kubeconfig: Path) -> None:
        self.api = api
        self.notebook = Notebook()
        self.clock = HastyClock()
        self.connection = KubeConnection(kubeconfig, user_agent="runbookd-exporter")
        self._task: asyncio.Task[None] | None = None

    async def play(
        self,
        *script: Answer,
        line_cap: int = 16 * 1024 * 1024,
        kind: type[Node | ReplicaSet] = Node,
    ) -> None:
        """Start the reflector on this script."""
        self.api.script.extend(script)
        reflector = Reflector(
            KubeReads(self.connection),
            self.clock,
            "/api/v1/nodes",
            kind,
            self.notebook,
            silence=QUIET,
            line_cap=line_cap,
        )
        self._task = asyncio.create_task(reflector.run())

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        async def asked() -> bool:
            assert self._task is not None
            assert not self._task.done(), "the reflector must outlive everything"
            return holds()

        try:
            await wait_until(asked, 10, what)
        except TimeoutError as error:
            raise AssertionError(f"{what}; told {self.notebook.told[-30:]}") from error

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.connection.close()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with ScriptedApi.start() as api:
        stage = Stage(api, api.kubeconfig(tmp_path))
        yield stage
        await stage.close()


def node(uid: str, version: str = "1", padding: int = 0) -> dict[str, object]:
    return {
        "kind": "Node",
        "metadata": {"uid": uid, "name": uid, "resourceVersion": version},
        "ignored": "x" * padding,
    }


def listing(*uids: str, version: str = "10") -> bytes:
    """Return a WatchList's listing with its closing bookmark."""
    lines = [event("ADDED", node(uid)) for uid in uids]
    return b"".join(lines) + bookmark(version, ends_listing=True)


def page(*uids: str, version: str = "10", goes_on: str = "") -> Answer:
    meta = {"resourceVersion": version} | ({"continue": goes_on} if goes_on else {})
    return Answer(json.dumps({"metadata": meta, "items": [node(uid) for uid in uids]}).encode())


async def test_a_listing_and_its_watch_come_in_one_uncompressed_stream(stage: Stage) -> None:
    await stage.play(
        Answer(
            listing("a", "b") + event("MODIFIED", node("a", "11")) + event("DELETED", node("b")),
            then="hold",
        )
    )
    await stage.until(lambda: stage.notebook.known == {"a": "11"}, "a changed, b deleted")
    told = stage.notebook.told
    assert told[:4] == ["begin", "object a", "object b", "sweep"]
    asked = stage.api.asked[0]
    assert asked.query["sendInitialEvents"] == "true"
    assert asked.query["resourceVersionMatch"] == "NotOlderThan"
    assert asked.query["allowWatchBookmarks"] == "true"
    assert 300 <= int(asked.query["timeoutSeconds"]) <= 600
    assert asked.headers["Accept-Encoding"] == "identity"
    assert asked.headers["User-Agent"] == "runbookd-exporter"
    assert asked.headers["Authorization"] == "Bearer t0"


async def test_a_refused_watch_list_falls_back_to_pages(stage: Stage) -> None:
    await stage.play(
        refusal(422, "sendInitialEvents is forbidden for watch"),
        page("a", "b", goes_on="more"),
        page("c", version="12"),
        Answer(event("ADDED", node("d", "13")), then="hold"),
    )
    await stage.until(lambda: set(stage.notebook.known) == {"a", "b", "c", "d"}, "all four known")
    queries = [asked.query for asked in stage.api.asked]
    assert queries[1] == {"limit": "250"}
    assert queries[2] == {"limit": "250", "continue": "more"}
    assert queries[3]["resourceVersion"] == "12"
    assert stage.notebook.failures == []


async def test_a_server_that_never_ends_the_listing_is_listed_in_pages(stage: Stage) -> None:
    await stage.play(
        Answer(event("ADDED", node("a")), then="hold"), page("a", "b"), Answer(then="hold")
    )
    await stage.until(lambda: set(stage.notebook.known) == {"a", "b"}, "listed in pages")
    assert stage.notebook.failures == ["silent"]


async def test_a_410_in_the_stream_lists_again_without_a_hole(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a", "b", "c") + event("ERROR", status(410, "too old"))),
        # The listing comes slowly and breaks off once; what is known must stay meanwhile.
        Answer(event("ADDED", node("a", "2")), then="abort"),
        Answer(listing("a", "b", version="20"), then="hold"),
    )
    await stage.until(lambda: set(stage.notebook.known) == {"a", "b"}, "c swept")
    assert stage.notebook.smallest_since_sync == 2
    assert stage.notebook.failures[0] == "gone"


async def test_an_error_is_told_from_an_object_whatever_the_kind(stage: Stage) -> None:
    # A Status has a status that is text: it is no Node, but reads like a kind without a status.
    await stage.play(
        Answer(listing("a") + event("ERROR", status(410, "too old"))),
        Answer(listing("b", version="20") + event("ERROR", status(500))),
        Answer(listing("c", version="30"), then="hold"),
        kind=ReplicaSet,
    )
    await stage.until(lambda: set(stage.notebook.known) == {"c"}, "listed again twice")
    assert stage.notebook.failures == ["gone", "unavailable"]


async def test_a_410_answer_to_a_resumed_watch_lists_again(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a")),
        refusal(410, "too old resource version"),
        Answer(listing("b", version="30"), then="hold"),
    )
    await stage.until(lambda: set(stage.notebook.known) == {"b"}, "listed again")
    assert stage.api.asked[1].query["resourceVersion"] == "10"
    assert "sendInitialEvents" in stage.api.asked[2].query


async def test_a_listing_whose_next_page_is_gone_starts_over(stage: Stage) -> None:
    await stage.play(
        refusal(422),
        page("a", goes_on="more"),
        refusal(410, "the continue token is too old"),
        page("a", "b"),
        Answer(then="hold"),
    )
    await stage.until(lambda: set(stage.notebook.known) == {"a", "b"}, "listed from the start")
    assert stage.notebook.told.count("sweep") == 1


async def test_a_watch_goes_on_where_a_bookmark_left_it(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a") + bookmark("55")),
        Answer(event("ADDED", node("b", "56")), then="hold"),
    )
    await stage.until(lambda: "b" in stage.notebook.known, "b known")
    assert stage.api.asked[1].query["resourceVersion"] == "55"
    assert "sendInitialEvents" not in stage.api.asked[1].query
    assert stage.notebook.told.count("begin") == 1
    assert stage.notebook.failures == []


@pytest.mark.parametrize("then", ["end", "abort"])
async def test_a_line_cut_short_is_left_out_and_read_again(stage: Stage, then: str) -> None:
    half = event("MODIFIED", node("a", "11"))[:40]
    await stage.play(
        Answer(listing("a") + half, then="abort" if then == "abort" else "end"),
        Answer(event("MODIFIED", node("a", "11")), then="hold"),
    )
    await stage.until(lambda: stage.notebook.known == {"a": "11"}, "the change arrived")
    assert stage.api.asked[1].query["resourceVersion"] == "10"
    assert len(stage.notebook.failures) == 1


async def test_a_line_of_five_megabytes_is_an_object_like_any_other(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a") + event("ADDED", node("big", "11", 5_000_000)), then="hold")
    )
    await stage.until(lambda: "big" in stage.notebook.known, "the big one is known")
    assert stage.notebook.failures == []


async def test_a_line_over_the_cap_is_skipped_and_counted(stage: Stage) -> None:
    huge = event("ADDED", node("huge", "11", 400_000))
    await stage.play(
        Answer(listing("a") + huge + event("ADDED", node("b", "12")), then="hold"),
        line_cap=100_000,
    )
    await stage.until(lambda: "b" in stage.notebook.known, "what follows is read")
    assert set(stage.notebook.known) == {"a", "b"}
    assert stage.notebook.failures == ["line_too_long"]


async def test_silence_is_taken_for_a_dead_connection_and_lists_again(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a", "b"), then="hold"), Answer(listing("b", version="20"), then="hold")
    )
    await stage.until(lambda: set(stage.notebook.known) == {"b"}, "listed again")
    assert stage.notebook.failures[0] == "silent"
    assert "sendInitialEvents" in stage.api.asked[1].query


async def test_an_open_but_silent_watch_is_no_sign_of_life(stage: Stage) -> None:
    await stage.play(Answer(listing("a"), then="hold"))
    await stage.until(lambda: stage.notebook.failures.count("silent") >= 2, "silent twice")
    assert stage.notebook.told.count("alive") == 1


async def test_a_second_added_of_the_same_object_replaces_the_first(stage: Stage) -> None:
    again = event("ADDED", node("a", "11")) * 2
    await stage.play(Answer(listing("a") + again, then="hold"))
    await stage.until(lambda: stage.notebook.told.count("object a") == 3, "told each time")
    assert stage.notebook.known == {"a": "11"}


async def test_a_line_that_is_no_json_is_counted_and_stepped_over(stage: Stage) -> None:
    await stage.play(
        Answer(listing("a") + b"{not json\n" + event("ADDED", node("b", "11")), then="hold")
    )
    await stage.until(lambda: "b" in stage.notebook.known, "what follows is read")
    assert stage.notebook.failures == ["unreadable"]


async def test_retry_after_is_obeyed_and_failures_back_off(stage: Stage) -> None:
    await stage.play(
        *[refusal(503) for _ in range(6)],
        refusal(429, "slow down", **{"Retry-After": "42"}),
        Answer(listing("a"), then="hold"),
    )
    await stage.until(lambda: "a" in stage.notebook.known, "listed in the end")
    slept = stage.clock.slept
    assert slept[6] == timedelta(seconds=42)
    assert all(waited <= timedelta(seconds=30) for waited in slept[:6])
    assert sum(slept[:6], timedelta()) > timedelta(seconds=1)
    assert stage.notebook.failures == ["unavailable"] * 7


async def test_a_watch_that_ends_at_once_is_not_opened_in_a_hot_loop(stage: Stage) -> None:
    await stage.play(Answer(listing("a")), *[Answer() for _ in range(20)])
    await stage.until(lambda: len(stage.api.asked) > 20, "opened again each time")
    assert sum(stage.clock.slept[:20], timedelta()) > timedelta(seconds=1)


async def test_no_permission_is_counted_and_asked_for_again(stage: Stage) -> None:
    await stage.play(
        refusal(403, "forbidden"), refusal(403, "forbidden"), Answer(listing("a"), then="hold")
    )
    await stage.until(lambda: "a" in stage.notebook.known, "allowed in the end")
    assert stage.notebook.failures == ["refused"]
