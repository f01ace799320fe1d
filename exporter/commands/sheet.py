"""The morning check on a terminal: parts, findings in columns, a next step below what is bad."""

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from exporter.morning.finding import Finding, Mark
from exporter.morning.report import Report, ago, plain, stamp

STYLES = {Mark.GOOD: "green", Mark.BAD: "bold red", Mark.UNKNOWN: "yellow", Mark.SHOWN: "dim"}

WIDEST = 56
"""Columns that subjects share; a longer one moves its own line alone."""


def sheet(report: Report) -> Text:
    """Return the report for a terminal."""
    return Text("\n").join(_lines(report))


def _lines(report: Report) -> Iterator[Text]:
    yield Text(plain(report.title), "bold")
    for section, findings in groupby(report.findings, key=lambda each: each.section):
        yield Text(section, "bold")
        listed = list(findings)
        width = max((len(f.subject) for f in listed if len(f.subject) <= WIDEST), default=0)
        for finding in listed:
            yield from _finding(finding, width)
    if report.changes is not None:
        yield Text(f"Since {stamp(report.changes.since)}, {ago(report)} ago", "bold")
        yield from (Text(f"  {plain(line)}") for line in list(report.changed()) or ["nothing"])
    yield Text(report.verdict, "bold")


def _finding(finding: Finding, width: int) -> Iterator[Text]:
    named = f"{plain(finding.subject).ljust(width)}  " if finding.subject else ""
    yield Text.assemble(
        ("  ", ""), (finding.mark, STYLES[finding.mark]), (f" {named}{plain(finding.told)}", "")
    )
    if finding.step:
        yield Text(f"      → {plain(finding.step)}", "dim")
