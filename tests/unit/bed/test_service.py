"""What the bed's service runs beside itself ends with it."""

import asyncio

import pytest

from tests.bed.service import cancel_on_exit


async def test_work_beside_a_block_ends_with_it() -> None:
    async with cancel_on_exit(asyncio.Event().wait(), name="forever") as task:
        await asyncio.sleep(0)
    assert task.cancelled()


async def test_an_error_of_the_work_is_not_lost() -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        async with cancel_on_exit(fail(), name="failing"):
            await asyncio.sleep(0)
