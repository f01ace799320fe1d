"""Which answer is the expected one."""

import pytest

from exporter.probe_port import Exchange, Failure, TlsFacts
from exporter.probes.judge import Expectation, judge

TLS = TlsFacts("TLSv1.3", verified=True, expires=None)
OK = Exchange(0.1, status=200, headers={"X-Version": "v3.1"}, body=b'{"status": "ok"}')


@pytest.mark.parametrize(
    ("expected", "exchange", "failure"),
    [
        (Expectation(["2.."]), OK, None),
        (Expectation(["404", "200"]), OK, None),
        (Expectation(["20"]), OK, Failure.STATUS),
        (Expectation([]), OK, Failure.STATUS),
        (Expectation(["2.."]), Exchange(5.0, Failure.TIMEOUT), Failure.TIMEOUT),
        (Expectation(["2.."], {"X-Version": "^v3"}), OK, None),
        (Expectation(["2.."], {"X-Version": "^v4"}), OK, Failure.HEADER),
        (Expectation(["2.."], {"X-Other": ".*"}), OK, Failure.HEADER),
        (Expectation(["2.."], body_matches=["status", '"ok"']), OK, None),
        (Expectation(["2.."], body_matches=["status", "down"]), OK, Failure.BODY),
        (Expectation(["2.."], body_forbids=["down"]), OK, None),
        (Expectation(["2.."], body_forbids=["down", "ok"]), OK, Failure.BODY),
        (Expectation(["2.."], body_matches=["^$"]), Exchange(0.1, status=200), None),
        (
            Expectation(["2.."], body_matches=["ä"]),
            Exchange(0.1, status=200, body=b"\xff\xc3\xa4"),
            None,
        ),
        (Expectation(["2.."], require_tls=True), OK, Failure.PLAIN),
        (Expectation(["2.."], require_tls=True), Exchange(0.1, status=200, tls=TLS), None),
    ],
)
def test_the_first_thing_that_is_wrong_is_the_reason(
    expected: Expectation, exchange: Exchange, failure: Failure | None
) -> None:
    verdict = judge(expected, exchange)
    assert verdict.failure == failure
    assert verdict.good == (failure is None)
    assert bool(verdict.detail) == (failure is not None and failure is not Failure.TIMEOUT)
