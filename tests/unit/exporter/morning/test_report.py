from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.morning import history
from exporter.morning.finding import Finding, Mark
from exporter.morning.history import KEPT, Past, changes, past
from exporter.morning.kpis import KpiValue
from exporter.morning.report import LONGEST_MESSAGE, Report
from exporter.shared.errors import PermanentError

TODAY = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
YESTERDAY = TODAY - timedelta(days=1)
CRASHING = Finding(Mark.BAD, "Pods", "default/web-1", "Failed", "kubectl logs web-1")
AWAY = Finding(Mark.BAD, "Databases", "main", "cannot be reached")
UP = Finding(Mark.GOOD, "Databases", "main", "is up")
FINE = Finding(Mark.GOOD, "Nodes", "3", "all ready")
BLIND = Finding(Mark.UNKNOWN, "Databases", "", "nothing is known")
ERRORS = KpiValue("error_ratio", "default/web", 0.002, 0.01)
PODS = KpiValue("cluster_pods_fit", "", 12, None)


def report(*findings: Finding, before: Past | None = None) -> Report:
    compared = changes(before, findings) if before else None
    return Report("prod", TODAY, findings, [ERRORS, PODS], compared)


def before(*findings: Finding, error_ratio: float = 0.001) -> Past:
    return past(YESTERDAY, 1, findings, [ERRORS._replace(value=error_ratio), PODS])


def test_what_changed_is_told_apart_from_what_stays_and_from_what_cannot_be_seen() -> None:
    found = changes(before(AWAY), [CRASHING, UP])
    assert [each.subject for each in found.new] == ["default/web-1"]
    assert [each.subject for each in found.gone] == ["main"]
    stays = changes(before(AWAY), [replace(AWAY, text="cannot be reached at all")])
    assert (stays.new, stays.gone, stays.unknown) == ([], [], [])
    blind = changes(before(AWAY), [FINE, BLIND])
    assert (blind.gone, [each.subject for each in blind.unknown]) == ([], ["main"])


def test_a_report_tells_what_is_new_what_is_gone_and_what_kpis_were() -> None:
    lines = list(report(CRASHING, UP, before=before(AWAY)).changed())
    assert lines == [
        "new ✗ Pods default/web-1: Failed",
        "gone ✗ Databases main: cannot be reached",
        "Error ratio, default/web: 0.10 % → 0.20 %",
    ]


def test_a_kpi_that_reads_the_same_is_no_change() -> None:
    assert list(report(FINE, before=before(error_ratio=0.002001)).changed()) == []


def test_the_json_holds_findings_changes_and_both_values_of_each_kpi() -> None:
    document = report(CRASHING, UP, before=before(AWAY)).as_json()
    assert document["exit_code"] == 1
    assert document["kpis"] == [
        {
            "kpi": "error_ratio",
            "subject": "default/web",
            "value": 0.002,
            "target": 0.01,
            "was": 0.001,
        },
        {"kpi": "cluster_pods_fit", "subject": "", "value": 12, "target": None, "was": 12},
    ]
    assert document["changes"] == {
        "since": "2026-03-01T07:00:00+00:00",
        "new": [{"section": "Pods", "subject": "default/web-1", "text": "Failed"}],
        "gone": [{"section": "Databases", "subject": "main", "text": "cannot be reached"}],
        "unknown": [],
    }
    assert report(FINE).as_json()["changes"] is None


def test_the_markdown_begins_with_what_changed() -> None:
    text = report(CRASHING, UP, before=before(AWAY)).as_markdown()
    assert text.splitlines() == [
        "# Morning check of prod, 2026-03-02 07:00 UTC",
        "",
        "1 ✗, 0 ?, 1 ✓",
        "",
        "## Since 2026-03-01 07:00 UTC",
        "",
        "- new ✗ Pods default/web-1: Failed",
        "- gone ✗ Databases main: cannot be reached",
        "- Error ratio, default/web: 0.10 % → 0.20 %",
        "",
        "## Findings",
        "",
        "| | part | subject | finding | next step |",
        "|---|---|---|---|---|",
        "| ✗ | Pods | default/web-1 | Failed | kubectl logs web-1 |",
        "| ✓ | Databases | main | is up |  |",
    ]


def test_the_words_of_others_stay_words() -> None:
    odd = Finding(Mark.BAD, "Events", "a|b", "\x1b[2J<!channel> & more\nand a line")
    markdown = report(odd).as_markdown().splitlines()[-1]
    assert markdown == "| ✗ | Events | a\\|b |  [2J&lt;!channel> & more and a line |  |"
    assert "✗ Events a|b:  [2J&lt;!channel&gt; &amp; more and a line" in report(odd).as_message()


def test_a_message_holds_what_is_not_good_and_ends_before_slack_cuts_it() -> None:
    message = report(CRASHING, UP, BLIND, before=before()).as_message()
    assert message.splitlines() == [
        "*Morning check of prod, 2026-03-02 07:00 UTC*: 1 ✗, 1 ?, 1 ✓",
        "*Since 2026-03-01 07:00 UTC*",
        "new ✗ Pods default/web-1: Failed",
        "Error ratio, default/web: 0.10 % → 0.20 %",
        "*Findings*",
        "✗ Pods default/web-1: Failed",
        "      → kubectl logs web-1",
        "? Databases : nothing is known",
    ]
    long = report(*(replace(AWAY, subject=f"database-{number}") for number in range(200)))
    text = long.as_message()
    assert len(text) <= LONGEST_MESSAGE + len("\n… and 200 lines more")
    assert text.endswith(" lines more")


def test_a_history_comes_back_as_it_was_and_holds_a_month() -> None:
    reports = [replace_at(before(AWAY), number) for number in range(KEPT + 3)]
    assert history.read(history.written(reports).splitlines()) == reports[-KEPT:]


def replace_at(report_then: Past, day: int) -> Past:
    at = report_then.at + timedelta(days=day)
    return Past(at, report_then.exit_code, report_then.bad, report_then.kpis)


@pytest.mark.parametrize("line", ["{}", "no JSON", '{"at": "yesterday", "exit_code": 0}', "[]"])
def test_a_line_that_is_no_report_is_told_by_its_number(line: str) -> None:
    good = history.written([before()]).strip()
    with pytest.raises(PermanentError, match="line 2 is no report"):
        history.read([good, line])
