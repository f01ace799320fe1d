"""The webhook on a store of its own, as a program: `python -m tests.bench.webhook_server FOLDER`.

Writes the port it listens on to FOLDER/port and ends on SIGTERM. With `--workflows N` the engine's
library runs N workflows of five steps in the same process all the time, on a file of its own.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from exporter.shared.clock import SystemClock
from responder.domain.dead_letter import Unusable
from responder.metrics import ResponderMetrics
from responder.store.database import Store
from responder.web.intake import Bounds, Intake, Listeners
from responder.web.webhook import alerts_handler

STEPS = 5
STEP = timedelta(seconds=1)
"""How long a step waits on the world; real ones (a rollout, a verification) wait longer."""


async def _dead_letter(_why: Unusable, _number: int) -> None:
    """Page nobody."""


async def serve(folder: Path, per_commit: int, workflows: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = await Store.open(f"sqlite:///{folder / 'responder.db'}", migrate=True)
    intake = Intake(
        store,
        SystemClock(),
        ResponderMetrics(),
        Listeners(dead_letter=_dead_letter, stored=lambda: None),
        Bounds(per_commit=per_commit),
    )
    intake.start()
    busy = await Busy.start(folder, workflows) if workflows else None

    async def steps(_request: web.Request) -> web.Response:
        return web.json_response({"steps": busy.steps if busy else 0})

    async def nothing(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="nothing")

    app = web.Application()
    handler = alerts_handler(intake, max_body_bytes=16 * 1024 * 1024, caller=lambda _: "bench")
    app.add_routes(
        [
            web.post("/api/v1/alerts", handler),
            web.post("/nothing", nothing),
            web.get("/steps", steps),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (folder / "port.new").write_text(str(runner.addresses[0][1]))
    (folder / "port.new").rename(folder / "port")
    await stop.wait()
    await runner.cleanup()
    if busy:
        await busy.stop()
    await intake.close()
    await store.close()


class Busy:
    """Workflows that never end: where one ends, the next begins."""

    def __init__(self) -> None:
        self.steps = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, folder: Path, number: int) -> "Busy":
        """Launch the engine's library as the responder does, and `number` workflows."""
        from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer  # noqa: PLC0415 - 1.5 s

        busy = cls()
        file = folder / "engine.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        DBOS(
            config=DBOSConfig(
                name="bench",
                system_database_url=f"sqlite:///{file}",
                executor_id="local",
                application_version="1",
                serializer=DBOSPortableJSONSerializer(),
                sys_db_pool_size=5,
                max_executor_threads=16,
                log_level="WARNING",
            )
        )

        @DBOS.step()
        async def step(number: int) -> int:
            await asyncio.sleep(STEP.total_seconds())
            busy.steps += 1
            return number

        @DBOS.workflow()
        async def workflow() -> None:
            for count in range(STEPS):
                await step(count)

        async def again_and_again() -> None:
            while True:
                await (await DBOS.start_workflow_async(workflow)).get_result()

        await asyncio.to_thread(DBOS.launch)
        busy._tasks = [asyncio.create_task(again_and_again()) for _ in range(number)]
        return busy

    async def stop(self) -> None:
        """End them where they are."""
        from dbos import DBOS  # noqa: PLC0415 - imported by start

        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-commit", type=int, default=1000)
    parser.add_argument("--workflows", type=int, default=0)
    parser.add_argument("--core", type=int, help="the only core to run on")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    args.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(args.folder, args.per_commit, args.workflows))


if __name__ == "__main__":
    main()
