"""What the morning check says: findings, each with a mark and, where it is bad, a next step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """What a finding means."""

    GOOD = "✓"
    BAD = "✗"
    UNKNOWN = "?"
    SHOWN = "·"
    """Nothing to judge: a value without a target, or a part that is not configured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check."""

    mark: Mark
    section: str
    subject: str
    text: str
    step: str = ""
    """What to do next, mostly a command; only where there is something to do."""
    was: str = ""
    """What a value was in the report before, where it reads differently now."""

    @property
    def told(self) -> str:
        """Return the text, with what was."""
        return f"{self.text}, was {self.was}" if self.was else self.text


MOST = 20
"""Findings of one mark that one part of the check shows: what fits a screen. The others are
counted."""


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 when anything is bad, else 3 when anything is unknown, else 0."""
    marks = {finding.mark for finding in findings}
    if Mark.BAD in marks:
        return 1
    return 3 if Mark.UNKNOWN in marks else 0


def bounded(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of one part, of each mark the first `MOST`; the rest as a count."""
    shown: list[Finding] = []
    counts = dict.fromkeys(Mark, 0)
    for each in findings:
        counts[each.mark] += 1
        if counts[each.mark] <= MOST:
            shown.append(each)
    return shown + [
        Finding(mark, findings[0].section, f"{count - MOST} more", "not shown one by one")
        for mark, count in counts.items()
        if count > MOST
    ]
