"""What Alertmanager is answered, and what is left behind, when a body or the store is bad."""

import asyncio
import hashlib

import aiohttp
import pytest

from responder.web.intake import Bounds
from responder.web.webhook import HASHED_BYTES, HEAD_BYTES
from tests.bed.process import wait_until
from tests.integration.responder.intake.conftest import GOOD, LIMIT, Receiver, listening
from tests.integration.responder.store.conftest import limit_pages


async def test_a_delivery_is_stored_raw_before_it_is_answered(receiver: Receiver) -> None:
    assert await receiver.post(GOOD) == (200, "stored\n")
    [item] = await receiver.inbox()
    assert (item.body, item.source) == (GOOD, "alertmanager")
    assert receiver.wakes == [True]
    assert receiver.counted("deliveries_total", result="stored") == 1
    assert receiver.counted("last_intake_timestamp_seconds") == pytest.approx(
        item.received_at.timestamp(), abs=5
    )


async def test_deliveries_that_come_together_share_commits_and_each_is_there(
    receiver: Receiver,
) -> None:
    answers = await asyncio.gather(*(receiver.post(GOOD) for _ in range(50)))
    assert {status for status, _ in answers} == {200}
    assert len(await receiver.inbox()) == 50
    assert len(receiver.wakes) < 50


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (GOOD[:500], "not_json"),
        (b"ALERTS! \xff\xfe", "not_json"),
        (b"", "not_json"),
        (b'{"version":"4","alerts":"none"}', "wrong_shape"),
        (b'{"text":"a custom payload"}', "wrong_shape"),
        (GOOD.replace(b'"version":"4"', b'"version":"5"'), "wrong_version"),
        (GOOD.replace(b'"status":"firing","labels"', b'"status":"odd","labels"'), "bad_value"),
    ],
    ids=["truncated", "not-json", "empty", "wrongly-typed", "custom", "version", "value"],
)
async def test_what_cannot_be_read_is_kept_counted_paged_and_refused(
    receiver: Receiver, body: bytes, kind: str
) -> None:
    status, said = await receiver.post(body)
    assert status == 400
    [letter] = await receiver.dead_letters()
    assert letter.reason.startswith(f"{kind}: ")
    assert letter.reason in said
    assert (letter.head, letter.size) == (body, len(body))
    assert letter.sha256 == hashlib.sha256(body).hexdigest()
    assert receiver.pages == [(letter.reason, letter.id)]
    assert receiver.counted("dead_letters_total", reason=kind) == 1
    assert receiver.counted("deliveries_total", result="malformed") == 1
    assert await receiver.inbox() == []
    assert (await receiver.post(GOOD))[0] == 200


async def test_of_a_body_of_20_mb_the_head_the_size_and_the_hash_are_kept(
    receiver: Receiver,
) -> None:
    body = bytes(range(256)) * (20 * 1024 * 4)
    status, said = await receiver.post(body)
    assert status == 413
    assert "20971520 bytes, 16777216 may be" in said
    [letter] = await receiver.dead_letters()
    assert (letter.head, letter.size) == (body[:HEAD_BYTES], len(body))
    assert letter.sha256 == hashlib.sha256(body).hexdigest()
    assert receiver.pages == [(letter.reason, letter.id)]
    assert receiver.counted("dead_letters_total", reason="too_large") == 1
    assert (await receiver.post(GOOD))[0] == 200


async def test_a_body_of_just_the_limit_is_no_body_too_large(receiver: Receiver) -> None:
    status, _ = await receiver.post(GOOD + b" " * (LIMIT - len(GOOD)))
    assert status == 200
    status, _ = await receiver.post(GOOD + b" " * (LIMIT + 1 - len(GOOD)))
    assert status == 413


async def test_a_body_without_end_is_read_up_to_a_bound(receiver: Receiver) -> None:
    async def endless() -> object:
        while True:
            yield b"x" * 1024 * 1024

    async def deliver() -> int:
        async with receiver.session.post(receiver.url, data=endless()) as answer:
            return answer.status

    # It is told 413, or finds its connection closed while it still sends.
    [end] = await asyncio.gather(deliver(), return_exceptions=True)
    assert end == 413 or isinstance(end, aiohttp.ClientError)

    async def kept() -> bool:
        return bool(await receiver.dead_letters())

    await wait_until(kept, 10, "the dead letter is kept")
    [letter] = await receiver.dead_letters()
    assert HASHED_BYTES < letter.size < HASHED_BYTES * 1.1
    assert (await receiver.post(GOOD))[0] == 200


async def test_a_connection_that_breaks_off_midway_is_counted_and_stores_nothing(
    receiver: Receiver,
) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: {len(GOOD)}\r\n\r\n"
    writer.write(head.encode() + GOOD[:300])
    await writer.drain()
    writer.close()

    async def counted() -> float:
        return receiver.counted("deliveries_total", result="interrupted")

    await wait_until(counted, 5, "the broken delivery is counted")
    assert await receiver.inbox() == []
    assert (await receiver.post(GOOD))[0] == 200


async def test_a_full_store_is_said_so_and_taken_up_again_when_there_is_room(
    on_file: Receiver,
) -> None:
    await limit_pages(on_file.store, 0)
    padded = GOOD + b" " * 100_000
    async with on_file.session.post(on_file.url, data=padded) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert "full" in await answer.text()
    assert on_file.counted("deliveries_total", result="store_unavailable") == 1
    assert on_file.counted("last_intake_timestamp_seconds") == 0
    await on_file.store.ping()
    await limit_pages(on_file.store, None)
    assert (await on_file.post(padded))[0] == 200
    assert len(await on_file.inbox()) == 1


async def test_a_dead_letter_that_cannot_be_kept_is_asked_for_again(on_file: Receiver) -> None:
    await limit_pages(on_file.store, 0)
    status, _ = await on_file.post(b"x" * 100_000)
    assert status == 503
    assert on_file.counted("dead_letters_total", reason="not_json") == 0
    await limit_pages(on_file.store, None)
    assert (await on_file.post(b"x" * 100_000))[0] == 400
    assert len(await on_file.dead_letters()) == 1


async def test_a_closed_store_is_said_so(receiver: Receiver) -> None:
    await receiver.store.close()
    assert (await receiver.post(GOOD))[0] == 503
    assert (await receiver.post(b"?"))[0] == 503


async def test_a_full_queue_is_said_so_and_what_was_queued_is_stored(file: str) -> None:
    async with listening(file, Bounds(queue=5)) as receiver:
        async with receiver.no_commits():
            posts = [asyncio.create_task(receiver.post(GOOD)) for _ in range(20)]

            async def some_refused() -> bool:
                return receiver.counted("deliveries_total", result="queue_full") >= 14

            await wait_until(some_refused, 5, "the queue is full")
        answers = [status for status, _ in await asyncio.gather(*posts)]
        assert sorted(set(answers)) == [200, 503]
        assert len(await receiver.inbox()) == answers.count(200) >= 5


async def test_the_bytes_that_wait_are_bounded_too(file: str) -> None:
    async with listening(file, Bounds(queued_bytes=len(GOOD) * 3)) as receiver:
        async with receiver.no_commits():
            posts = [asyncio.create_task(receiver.post(GOOD)) for _ in range(9)]

            async def some_refused() -> bool:
                return receiver.counted("deliveries_total", result="queue_full") >= 6

            await wait_until(some_refused, 5, "the bytes are used up")
        assert sorted(status for status, _ in await asyncio.gather(*posts)) == [200] * 3 + [503] * 6
        assert (await receiver.post(GOOD))[0] == 200


async def test_what_waits_at_the_close_is_stored_and_what_comes_after_is_refused(
    receiver: Receiver,
) -> None:
    async def queued() -> bool:
        return receiver.counted("intake_waiting") == 5

    async def being_committed() -> bool:
        return receiver.intake._bytes > 0 and receiver.counted("intake_waiting") == 0

    async with receiver.no_commits():
        posts = [asyncio.create_task(receiver.post(GOOD))]
        await wait_until(being_committed, 5, "the first one's commit is under way")
        posts += [asyncio.create_task(receiver.post(GOOD)) for _ in range(5)]
        await wait_until(queued, 5, "the others wait")
        closing = asyncio.create_task(receiver.intake.close())
        await asyncio.sleep(0)
        assert (await receiver.post(GOOD))[0] == 503
    await closing
    assert [status for status, _ in await asyncio.gather(*posts)] == [200] * 6
    assert len(await receiver.inbox()) == 6
    assert not receiver.intake.alive
