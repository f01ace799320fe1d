"""Whether an answer is the one that was expected; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.probe_port import Exchange, Failure


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a good answer is; every text is a regular expression."""

    status: Sequence[str]
    """One of them matches the status whole."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By header: what its value holds somewhere; a header that is not there does not match."""
    body_matches: Sequence[str] = ()
    """All of them match somewhere in the body."""
    body_forbids: Sequence[str] = ()
    """None of them does."""
    require_tls: bool = False


class Verdict(NamedTuple):
    """What a probe says of its target."""

    failure: Failure | None
    """None: the answer is a good one."""
    detail: str = ""

    @property
    def good(self) -> bool:
        """True when the probe succeeded."""
        return self.failure is None


def judge(expected: Expectation, exchange: Exchange) -> Verdict:
    """Compare an exchange with what is expected; what is wrong first counts."""
    if exchange.failure is not None:
        return Verdict(exchange.failure, exchange.detail)
    if expected.require_tls and exchange.tls is None:
        return Verdict(Failure.PLAIN, "the last connection had no TLS")
    status = str(exchange.status)
    if not any(re.fullmatch(wanted, status) for wanted in expected.status):
        return Verdict(Failure.STATUS, f"status {status} is not {' or '.join(expected.status)}")
    for name, wanted in expected.headers.items():
        value = exchange.headers.get(name)
        if value is None or not re.search(wanted, value):
            return Verdict(Failure.HEADER, f"header {name} does not match {wanted!r}")
    return _judge_body(expected, exchange.body.decode("utf-8", "replace"))


def _judge_body(expected: Expectation, body: str) -> Verdict:
    for wanted in expected.body_matches:
        if not re.search(wanted, body):
            return Verdict(Failure.BODY, f"the body does not match {wanted!r}")
    for forbidden in expected.body_forbids:
        if re.search(forbidden, body):
            return Verdict(Failure.BODY, f"the body matches {forbidden!r}")
    return Verdict(None)
