"""The check as a document: JSON, Markdown, and a message that a chat shows; pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from exporter.kpi import CATALOGUE
from exporter.morning.amounts import amount, span
from exporter.morning.finding import Finding, Mark, exit_code
from exporter.morning.history import Changes, Trouble
from exporter.morning.kpis import KpiValue

LONGEST_MESSAGE = 3900
"""Characters: Slack advises not to send more than 4,000 in `text`."""


@dataclass(frozen=True, slots=True)
class Report:
    """One morning check."""

    about: str
    """The cluster's name, or the address of the exporter that was read."""
    at: datetime
    findings: Sequence[Finding]
    kpis: Sequence[KpiValue]
    changes: Changes | None = None
    """None where there is no earlier report."""
    saw_nothing: bool = False
    """The exporter could not be read: the only finding says so."""

    @property
    def exit_code(self) -> int:
        """Return 1 when anything is bad, else 3 when anything is unknown, else 0."""
        return exit_code(self.findings)

    @property
    def verdict(self) -> str:
        """Return how many findings are bad, unknown and good."""
        counts = Counter(each.mark for each in self.findings)
        return ", ".join(f"{counts[mark]} {mark}" for mark in (Mark.BAD, Mark.UNKNOWN, Mark.GOOD))

    @property
    def title(self) -> str:
        """Return a line that names the report."""
        return f"Morning check of {self.about}, {stamp(self.at)}"

    def as_json(self) -> dict[str, object]:
        """Return the report as a document of JSON."""
        was = self.changes.was if self.changes else {}
        return {
            "about": self.about,
            "at": self.at.isoformat(),
            "exit_code": self.exit_code,
            "findings": [asdict(each) for each in self.findings],
            "kpis": [each._asdict() | {"was": was.get(each.key)} for each in self.kpis],
            "changes": self.changes and _changes(self.changes),
        }

    def as_markdown(self) -> str:
        """Return the report as Markdown: what changed, then every finding with its next step."""
        lines = [f"# {self.title}", "", self.verdict, ""]
        if self.changes is not None:
            lines += [f"## Since {stamp(self.changes.since)}", ""]
            lines += [f"- {cell(line)}" for line in self.changed()] or ["- nothing"]
            lines += [""]
        lines += ["## Findings", "", "| | part | subject | finding | next step |"]
        lines += ["|---|---|---|---|---|"]
        for each in self.findings:
            cells = (each.section, each.subject, each.told, each.step)
            lines.append(f"| {each.mark} | {' | '.join(map(cell, cells))} |")
        return "\n".join(lines) + "\n"

    def as_message(self) -> str:
        """Return what a chat shows, escaped as Slack asks: verdict, changes, what is not good.

        It is cut after `LONGEST_MESSAGE` characters, at the end of a line.
        """
        lines = [f"*{_escaped(self.title)}*: {self.verdict}"]
        if self.changes is not None:
            lines.append(f"*Since {stamp(self.changes.since)}*")
            lines += [_escaped(line) for line in self.changed()] or ["nothing has changed"]
        open_findings = [each for each in self.findings if each.mark in (Mark.BAD, Mark.UNKNOWN)]
        lines += ["*Findings*"] if open_findings else []
        for each in open_findings:
            lines.append(_escaped(f"{each.mark} {each.section} {each.subject}: {each.told}"))
            lines += [_escaped(f"      → {each.step}")] if each.step else []
        return _cut(lines)

    def changed(self) -> Iterator[str]:
        """Return a line for each change since the report before: trouble first, then KPIs."""
        if self.changes is None:
            return
        for word, troubles in (
            ("new ✗", self.changes.new),
            ("gone ✗", self.changes.gone),
            ("was ✗, not known now", self.changes.unknown),
        ):
            for each in troubles:
                yield f"{word} {each.section} {each.subject}: {each.text}"
        for kpi in self.kpis:
            was = self.changes.was.get(kpi.key)
            if was is None:
                continue
            entry = CATALOGUE[kpi.kpi]
            then, now = amount(entry.unit, was), amount(entry.unit, kpi.value)
            if then != now:
                named = f"{entry.title}, {kpi.subject}" if kpi.subject else entry.title
                yield f"{named}: {then} → {now}"


def _changes(found: Changes) -> dict[str, object]:
    def listed(troubles: Sequence[Trouble]) -> list[dict[str, str]]:
        return [{"section": t.section, "subject": t.subject, "text": t.text} for t in troubles]

    return {
        "since": found.since.isoformat(),
        "new": listed(found.new),
        "gone": listed(found.gone),
        "unknown": listed(found.unknown),
    }


def stamp(at: datetime) -> str:
    """Write a moment for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def ago(report: Report) -> str:
    """Return how long before this report the one before it was made."""
    if report.changes is None:
        return ""
    return span((report.at - report.changes.since).total_seconds())


def plain(text: str) -> str:
    """Return text without what could command a terminal: names and messages are others' words."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def cell(text: str) -> str:
    """Return text that stays within one cell of a Markdown table, and means nothing in it."""
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _escaped(text: str) -> str:
    """Escape the three characters that Slack gives a meaning."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(lines: Sequence[str]) -> str:
    kept: list[str] = []
    length = 0
    for number, line in enumerate(lines):
        length += len(line) + 1
        if length > LONGEST_MESSAGE:
            kept.append(f"… and {len(lines) - number} lines more")
            break
        kept.append(line)
    return "\n".join(kept)
