"""Earlier reports beside the present one: what is new, what is gone, what KPIs were; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from exporter.morning.finding import Finding, Mark
from exporter.morning.kpis import KpiValue
from exporter.shared.errors import PermanentError

KEPT = 31
"""Reports in a history: a month of mornings."""


class Trouble(msgspec.Struct, frozen=True):
    """A finding that was bad."""

    section: str
    subject: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is about; the text may change while the trouble stays."""
        return (self.section, self.subject)


class Past(msgspec.Struct, frozen=True):
    """What is kept of a report."""

    at: datetime
    exit_code: int
    bad: tuple[Trouble, ...] = ()
    kpis: Mapping[str, float] = msgspec.field(default_factory=dict)
    """KPI and subject → value."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between two reports."""

    since: datetime
    """When the earlier one was made."""
    new: Sequence[Trouble] = ()
    gone: Sequence[Trouble] = ()
    unknown: Sequence[Trouble] = ()
    """Was bad, and nothing is known of it now."""
    was: Mapping[str, float] = field(default_factory=dict)
    """KPI and subject → its value then."""


def past(at: datetime, code: int, findings: Iterable[Finding], kpis: Iterable[KpiValue]) -> Past:
    """Return what is to be kept of a report."""
    return Past(at, code, tuple(_bad(findings)), {each.key: each.value for each in kpis})


def changes(before: Past, findings: Sequence[Finding]) -> Changes:
    """Compare the present findings with an earlier report.

    Trouble is gone only where its section still tells something: what cannot be seen any more is
    not known to be over.
    """
    now = list(_bad(findings))
    still, then = {each.key for each in now}, {each.key for each in before.bad}
    told = {each.section for each in findings if each.mark in (Mark.GOOD, Mark.BAD)}
    over = [each for each in before.bad if each.key not in still]
    return Changes(
        before.at,
        new=[each for each in now if each.key not in then],
        gone=[each for each in over if each.section in told],
        unknown=[each for each in over if each.section not in told],
        was=before.kpis,
    )


def read(lines: Iterable[str]) -> list[Past]:
    """Read a history, oldest first. Raises PermanentError for a line that is no report."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(msgspec.json.decode(line, type=Past))
            except msgspec.DecodeError as error:
                raise PermanentError(f"line {number} is no report of the check") from error
    return found


def written(reports: Sequence[Past]) -> str:
    """Write the last `KEPT` reports, a line of JSON each."""
    return "".join(
        json.dumps(msgspec.to_builtins(each), ensure_ascii=False) + "\n" for each in reports[-KEPT:]
    )


def _bad(findings: Iterable[Finding]) -> Iterable[Trouble]:
    return (
        Trouble(each.section, each.subject, each.text) for each in findings if each.mark is Mark.BAD
    )
