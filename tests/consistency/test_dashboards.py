"""The shipped dashboards against the metrics, the rules, the guides and Grafana's own ways."""

import pkgutil
import re
from itertools import combinations

import pytest

from charts import dashboards as folder
from charts.dashboards.bounds import bound
from exporter import app as exporter_app
from exporter import itself, sources
from exporter.collectors import aws
from exporter.exposition.scrape import METRICS as SCRAPE_METRICS
from exporter.kpi import CATALOGUE
from exporter.readings import FAMILIES as READINGS
from exporter.readings import TARGET, WITHIN
from responder.metrics import ResponderMetrics
from tests.bed import dashboards
from tests.bed.dashboards import Panel, filled, selected
from tests.bed.rules import RULES, shipped
from tests.bed.settings import HOME
from tests.generate import discovered

BOARDS = dashboards.shipped()
RECORDINGS = shipped().recordings
EVERY_BOARD = pytest.mark.parametrize("name", BOARDS)
NOT_AUDIENCES = {"aws_daytime", "board", "bounds", "catalogue", "render"}
LEVELS = {
    "namespace": {"namespace"},
    "workload": {"workload", "workload_type"},
    "template": {"template_hash"},
    "cluster": set(),
}
"""What the words of a recording rule's level stand for, where that is not the word itself."""
OWN = {metric.name for metric in (*sources.FAMILIES, *itself.METRICS, *SCRAPE_METRICS)}
"""What each exporter says of itself: of two exporters there are two."""
PROMETHEUS = {
    "ALERTS": {"alertname", "alertstate", "severity"},
    "up": {"job", "instance"},
    "scrape_duration_seconds": {"job", "instance"},
    "scrape_samples_scraped": {"job", "instance"},
}
"""What Prometheus itself knows, and the labels that are used here."""
RED_FROM = {
    "KpiTargetsUnhealthy": 1,  # it fires above 0
    "KpiBackupOld": 26 * 3600,
    "KpiEksSupportEnding": 60,  # days
    "KpiNodegroupUnhealthy": 1,  # of them
}
"""Alerts about AWS, and where their panels become red or cease to be it."""
ATTACHED = {"job", "instance", "le"}


def known() -> dict[str, set[str]]:
    """Return the labels of every series' name."""
    found = dict(PROMETHEUS)
    families = (*exporter_app.families(exporter_app.collectors()), *READINGS, TARGET)
    for metric in families:
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        found |= {metric.name + end: set(metric.labels) for end in ends}
    found["kpi_within_target"] = set().union(*(metric.labels for metric in WITHIN.values()))
    for rule in RECORDINGS:
        words = rule.partition(":")[0].split("_")
        found[rule] = set().union(*(LEVELS.get(word, {word}) for word in words))
    for family in ResponderMetrics().registry.collect():
        ends = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        total = "_total" if family.type == "counter" else ""
        found |= {family.name + total + end: set() for end in ends}
    return found


def drawn(name: str) -> list[Panel]:
    return [panel for panel in BOARDS[name].panels if panel.type != "row"]


def test_every_audience_has_its_generated_dashboard() -> None:
    audiences = {each.name for each in pkgutil.iter_modules(folder.__path__)} - NOT_AUDIENCES
    generated = {each.path for each in discovered().values()}
    assert set(BOARDS) == audiences
    assert set(dashboards.files()) <= generated
    assert {board.uid for board in BOARDS.values()} == {f"runbookd-{name}" for name in audiences}


@EVERY_BOARD
def test_a_panel_has_a_number_that_no_other_has(name: str) -> None:
    ids = [panel.id for panel in BOARDS[name].panels]
    assert len(set(ids)) == len(ids)


@EVERY_BOARD
def test_no_panel_lies_on_another_or_beside_the_grid(name: str) -> None:
    panels = BOARDS[name].panels
    assert all(panel.grid_pos.x + panel.grid_pos.w <= 24 for panel in panels)
    for one, other in combinations(panels, 2):
        assert not one.grid_pos.overlaps(other.grid_pos), (one.title, other.title)


@EVERY_BOARD
def test_a_dashboard_begins_with_a_question_and_every_row_asks_one(name: str) -> None:
    board = BOARDS[name]
    assert board.panels[0].type == "row"
    rows = [panel for panel in board.panels if panel.type == "row"]
    assert [row.title for row in rows if not row.title.endswith("?")] == []
    assert [row.title for row in rows if row.panels] == [], "a row that is shut answers nothing"


@EVERY_BOARD
def test_a_panel_says_what_it_shows_in_which_unit_and_whose_line_is_whose(name: str) -> None:
    for panel in drawn(name):
        assert panel.description.endswith("."), panel.title
        assert panel.unit, panel.title
        assert panel.targets, panel.title
        assert all(target.legend_format for target in panel.targets), panel.title
        assert len({target.ref_id for target in panel.targets}) == len(panel.targets)


@EVERY_BOARD
def test_where_the_data_comes_from_is_chosen_in_the_dashboard(name: str) -> None:
    board = BOARDS[name]
    queries = [one for one in board.templating.variables if one.type == "query"]
    sources_of = [panel.datasource for panel in drawn(name)]
    sources_of += [target.datasource for panel in drawn(name) for target in panel.targets]
    sources_of += [one.datasource for one in queries]
    sources_of += [mark.datasource for mark in board.annotations.marks]
    assert {source.uid for source in sources_of} == {"${datasource}"}
    assert board.templating.variables[0].type == "datasource"


@EVERY_BOARD
def test_every_variable_is_used_and_every_one_used_is_there(name: str) -> None:
    board = BOARDS[name]
    there = {variable.name for variable in board.templating.variables} - {"datasource"}
    texts = [target.expr for panel in drawn(name) for target in panel.targets]
    texts += [mark.expr for mark in board.annotations.marks]
    used = set().union(*(dashboards.variables(text) for text in texts))
    assert used == there


@EVERY_BOARD
def test_every_expression_reads_what_is_published_by_labels_that_it_has(name: str) -> None:
    labels = known()
    for asked in dashboards.asked(BOARDS[name]):
        for each in selected(asked.expr):
            assert each.name in labels, asked.where
            if each.name.startswith("responder_"):
                continue
            assert each.matched <= labels[each.name], (asked.where, each)
            assert each.by <= labels[each.name] | ATTACHED, (asked.where, each)


@EVERY_BOARD
def test_a_variable_offers_what_is_published(name: str) -> None:
    labels = known()
    for variable in BOARDS[name].templating.variables:
        if variable.type != "query":
            continue
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", filled(variable.query))
        assert found is not None, variable.query
        (series,) = selected(found[1])
        assert {*series.matched, found[2]} <= labels[series.name]


@EVERY_BOARD
def test_two_exporters_draw_no_second_line_and_count_nothing_twice(name: str) -> None:
    for asked in dashboards.asked(BOARDS[name]):
        for each in selected(asked.expr):
            if each.name.startswith("kpi_") and each.name not in OWN:
                assert each.folded in ("max", "min"), (asked.where, each)
                assert "instance" not in each.by, (asked.where, each)


@EVERY_BOARD
def test_a_counter_over_time_is_read_over_what_grafana_finds_long_enough(name: str) -> None:
    for panel in drawn(name):
        if panel.type in ("timeseries", "heatmap"):
            text = " ".join(target.expr for target in panel.targets)
            read = re.findall(r"\b(?:rate|increase)\([^\[]*\[([^\]]+)\]", text)
            assert set(read) <= {"$__rate_interval"}, panel.title


@EVERY_BOARD
def test_a_kpi_with_a_target_is_drawn_beside_it(name: str) -> None:
    for panel in drawn(name):
        if panel.type != "timeseries":
            continue
        texts = [target.expr for target in panel.targets]
        kpis = {found[1] for text in texts if (found := re.match(r"\w+:kpi_(\w+):rate", text))}
        for kpi in kpis & CATALOGUE.keys():
            bound = f'max(kpi_target{{kpi="{kpi}"}})'
            assert (bound in texts) == (CATALOGUE[kpi].target is not None), panel.title


def test_every_kpi_of_the_catalogue_is_drawn_over_time() -> None:
    lines = [panel for name in BOARDS for panel in drawn(name) if panel.type == "timeseries"]
    texts = " ".join(target.expr for panel in lines for target in panel.targets)
    assert [kpi for kpi in CATALOGUE if f":kpi_{kpi}:rate" not in texts] == []


@EVERY_BOARD
def test_a_dashboard_leads_to_the_others_and_to_guides_that_are_there(name: str) -> None:
    board = BOARDS[name]
    assert [link.tags for link in board.links] == [["runbookd"]]
    assert "runbookd" in board.tags
    pages = {page.stem for page in (RULES / "guides").iterdir()}
    links = [link for panel in board.panels for link in panel.links]
    assert {link.url.rpartition("/guides/")[2] for link in links} <= pages


def test_where_an_alert_about_aws_fires_a_number_is_red() -> None:
    told = {metric.name for metric in aws.SPEC.metrics}
    alerts = {name for name, rule in shipped().alerts.items() if rule.metrics & told}
    assert alerts == RED_FROM.keys()
    for alert, value in RED_FROM.items():
        numbers = [
            panel.thresholds
            for panel in drawn("aws")
            if panel.type == "stat" and alert in {link.url.split("/")[-1] for link in panel.links}
        ]
        assert numbers, alert
        assert all(number == {value} for number in numbers), alert


@pytest.mark.parametrize("alert", ["KpiErrorRatioHigh", "KpiNeverWritten"])
def test_a_bound_that_is_no_number_in_the_rules_is_not_made_up(alert: str) -> None:
    with pytest.raises(ValueError, match=alert):
        bound(alert)


def test_a_panel_about_aws_that_is_empty_says_which_setting_fills_it() -> None:
    for panel in drawn("aws"):
        (named,) = re.findall(r"collectors\.aws(?:\.([a-z_]+))?", panel.no_value)
        assert not named or named in aws.Settings.model_fields, panel.title


def test_the_readme_names_every_dashboard() -> None:
    text = (HOME / "README.md").read_text()
    (listed,) = re.findall(r"Dashboards for Grafana: (.+?)\.", text, re.DOTALL)
    assert set(re.split(r",\s+", listed)) == {board.title for board in BOARDS.values()}
