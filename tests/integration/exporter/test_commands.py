"""Programs are bounded, whatever they do, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.clients.commands import CommandRunner
from exporter.command_port import Finished
from exporter.shared.errors import PermanentError, TransientError
from tests.bed.process import wait_until

SOON = timedelta(seconds=10)
PATH = {"PATH": "/usr/bin:/bin"}


async def run(
    folder: Path, script: str, *, deadline: timedelta = SOON, max_bytes: int = 1000
) -> Finished:
    return await CommandRunner(grace=timedelta(milliseconds=300)).run(
        ("sh", "-c", script),
        folder=folder,
        environment=PATH,
        deadline=deadline,
        max_bytes=max_bytes,
    )


def gone(pids: Path, how_many: int) -> Callable[[], Awaitable[bool]]:
    """Return whether the processes that wrote their ids to a file were there and are gone."""

    async def are_gone() -> bool:
        found = written(pids).split()
        return len(found) == how_many and not any(alive(pid) for pid in found)

    return are_gone


def written(file: Path) -> str:
    return file.read_text()


def alive(pid: str) -> bool:
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_program_tells_its_code_and_its_lines(tmp_path: Path) -> None:
    finished = await run(tmp_path, "pwd; echo second; echo unheard >&2; exit 3")
    assert finished == Finished(3, [str(tmp_path).encode(), b"second"])


async def test_a_program_sees_the_environment_it_is_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    finished = await run(tmp_path, "env")
    assert not any(b"hidden" in line for line in finished.lines)
    assert b"PATH=/usr/bin:/bin" in finished.lines


# The second one ignores what asks it to end, and holds the output open.
STUBBORN = "(trap '' TERM; echo $$ >>pids; while :; do sleep 1; done) & echo $$ >>pids; sleep 60"


async def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    script = STUBBORN.replace("$$", "$(exec sh -c 'echo $PPID')")
    with pytest.raises(TransientError, match="sh took longer than 0:00:01"):
        await run(tmp_path, script, deadline=timedelta(seconds=1))
    await wait_until(gone(tmp_path / "pids", 2), 10, "both are gone")


async def test_one_that_is_given_up_is_ended_too(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, "echo $$ >pids; sleep 60"))

    async def started() -> bool:
        return (tmp_path / "pids").exists()

    await wait_until(started, 10, "it runs")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_until(gone(tmp_path / "pids", 1), 10, "it is gone")


async def test_one_that_says_too_much_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="said more than 1000 bytes"):
        await run(tmp_path, "echo $$ >pids; yes")
    await wait_until(gone(tmp_path / "pids", 1), 10, "it is gone")


@pytest.mark.parametrize("argv", [("no-such-program",), ("/etc/hostname",)])
async def test_what_is_no_program_is_said_to_be_none(tmp_path: Path, argv: Sequence[str]) -> None:
    with pytest.raises(PermanentError, match="cannot be started"):
        await CommandRunner().run(
            argv, folder=tmp_path, environment=PATH, deadline=SOON, max_bytes=10
        )


async def test_programs_run_one_at_a_time(tmp_path: Path) -> None:
    runner = CommandRunner()
    script = "mkdir alone || exit 1; sleep 0.1; rmdir alone"

    async def once() -> int:
        finished = await runner.run(
            ("sh", "-c", script), folder=tmp_path, environment=PATH, deadline=SOON, max_bytes=10
        )
        return finished.code

    assert {await each for each in [asyncio.create_task(once()) for _ in range(3)]} == {0}
