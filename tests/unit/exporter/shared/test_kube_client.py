from datetime import timedelta

import pytest

from exporter.shared.errors import (
    ConflictError,
    GoneError,
    NotFoundError,
    PermanentError,
    RunbookdError,
    TransientError,
)
from exporter.shared.kube_client import error_of


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((408, 429, 500, 502, 503, 504), TransientError),
        ((404,), NotFoundError),
        ((409,), ConflictError),
        ((410,), GoneError),
        ((400, 401, 403, 405, 413, 415, 422), PermanentError),
    ],
)
def test_the_status_says_what_to_do(statuses: tuple[int, ...], kind: type[RunbookdError]) -> None:
    for status in statuses:
        assert type(error_of(status, None, b"", "GET /x")) is kind


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        (None, None),
        ("Mon, 23 Nov 2026 12:00:00 GMT", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_passed_on_in_seconds(header: str | None, wait: timedelta | None) -> None:
    error = error_of(429, header, b"", "GET /x")
    assert isinstance(error, TransientError)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"kind": "Status", "message": "pods \\"x\\" not found"}',
            'GET /x: 404 pods "x" not found',
        ),
        (b"a proxy's page", "GET /x: 404 a proxy's page"),
        (b'{"message": 5}', 'GET /x: 404 {"message": 5}'),
        (b"[]", "GET /x: 404 []"),
        (b"\xff" * 1000, f"GET /x: 404 {chr(0xFFFD) * 200}"),
        (b"", "GET /x: 404"),
    ],
)
def test_the_message_is_the_servers_own(body: bytes, said: str) -> None:
    assert str(error_of(404, None, body, "GET /x")) == said
