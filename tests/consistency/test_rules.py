"""The shipped rules against the exporter's metrics, their guides, their tests and Alertmanager."""

import re
from collections import defaultdict
from datetime import timedelta

import pytest
import yaml
from prometheus_client.samples import Sample

from exporter import app as exporter_app
from exporter.contract import Metric
from exporter.kpi import CATALOGUE
from exporter.readings import FAMILIES as READINGS
from exporter.readings import VALUES, WITHIN
from exporter.settings import ExporterSettings
from exporter.shared.config import parse_duration
from responder.metrics import ResponderMetrics
from tests.bed.rules import RULES, Case, Rule, cases, shipped
from tests.bed.settings import HOME

SHIPPED = shipped()
SORTS = ("fires", "quiet", "resolves", "no data")
SUBJECTS = (
    {"namespace", "workload", "workload_type", "pod", "node", "database"}
    | {"persistentvolumeclaim", "job_name", "probe", "secret", "release"}
    | {"replica", "pgbouncer"}
    | {"target_group", "backup", "eks_cluster", "nodegroup", "directory", "var_file"}
    | {"collector", "source", "reason"}  # what the programs' own alerts are about
)
LEVELS = {
    ("namespace", "workload", "workload_type"): "namespace_workload",
    ("database",): "database",
    ("database", "pgbouncer"): "database_pgbouncer",
    ("node",): "node",
    ("namespace", "persistentvolumeclaim"): "namespace_persistentvolumeclaim",
    (): "cluster",
}
ANNOTATIONS = {"summary", "description", "runbook_url"}
ABOUT_ABSENCE = "absent("
EVERY_ALERT = pytest.mark.parametrize("name", sorted(SHIPPED.alerts))


def declared() -> dict[str, Metric]:
    families = {metric.name: metric for metric in exporter_app.families(exporter_app.collectors())}
    return families | {metric.name: metric for metric in READINGS}


def series_of(metric: Metric) -> set[str]:
    parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
    return {metric.name + part for part in parts}


def cases_of(alert: str) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases():
        name, _, words = case.name.partition(": ")
        sort = next((sort for sort in SORTS if words.startswith(sort)), words)
        if name == alert:
            found[sort].append(case)
    return found


def looks(alert: str, case: Case) -> list[int]:
    """How many alerts fire at each look of `case`, in the order of time."""
    mine = [look for look in case.alert_rule_test if look.alertname == alert]
    return [
        len(look.exp_alerts) for look in sorted(mine, key=lambda one: parse_duration(one.eval_time))
    ]


def labels_of(rule: Rule) -> set[str]:
    """The subject's labels: those of the aggregation that the alert's series come from."""
    text = rule.expr
    while found := next((name for name in SHIPPED.recordings if name in text), None):
        text = text.replace(found, f"({SHIPPED.recordings[found].expr})")
    outermost = re.search(r"\bby \(([^)]*)\)", text)
    names = {name.strip() for name in outermost[1].split(",")} if outermost else set()
    return names - {"le"}  # which histogram_quantile takes away


@EVERY_ALERT
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = SHIPPED.alerts[name]
    assert rule.labels.keys() == {"severity"}
    assert rule.labels["severity"] in ("critical", "warning")
    assert rule.annotations.keys() == ANNOTATIONS
    assert all(text.strip() for text in rule.annotations.values())
    assert rule.annotations["runbook_url"] == f"http://127.0.0.1:9843/guides/{name}"


@EVERY_ALERT
def test_an_alert_has_a_guide_page(name: str) -> None:
    lines = (RULES / "guides" / f"{name}.md").read_text().splitlines()
    assert lines[0] == f"# {name}"
    assert len(lines) <= 45


def test_a_guide_page_is_about_an_alert() -> None:
    assert {page.stem for page in (RULES / "guides").iterdir()} == SHIPPED.alerts.keys()


@EVERY_ALERT
def test_an_alert_is_tested_to_fire(name: str) -> None:
    fires = [looks(name, case) for case in cases_of(name)["fires"]]
    assert any(counts[0] == 0 and counts[-1] == 1 for counts in fires if counts)


@EVERY_ALERT
def test_an_alert_is_tested_to_stay_quiet(name: str) -> None:
    quiet = [looks(name, case) for case in cases_of(name)["quiet"]]
    assert quiet
    assert not any(any(counts) or not counts for counts in quiet)


@EVERY_ALERT
def test_an_alert_is_tested_to_resolve(name: str) -> None:
    resolves = [looks(name, case) for case in cases_of(name)["resolves"]]
    assert resolves
    assert all(counts[0] == 1 and counts[-1] == 0 for counts in resolves)


@EVERY_ALERT
def test_an_alert_is_tested_without_data(name: str) -> None:
    fires = int(ABOUT_ABSENCE in SHIPPED.alerts[name].expr)
    empty = [looks(name, case) for case in cases_of(name)["no data"]]
    assert empty
    assert all(counts and set(counts) == {fires} for counts in empty)
    if "kpi_target" in SHIPPED.alerts[name].metrics:
        assert len(empty) >= 2, "no series is one case, no target another"


def test_the_name_of_a_test_says_what_it_shows() -> None:
    for case in cases():
        name, _, words = case.name.partition(": ")
        assert name in {*SHIPPED.alerts, "recording"}, case.name
        assert name == "recording" or words.startswith(SORTS), case.name


@EVERY_ALERT
def test_an_alert_carries_its_subject_and_nothing_of_the_exporter(name: str) -> None:
    labels = labels_of(SHIPPED.alerts[name])
    assert labels <= SUBJECTS
    expected = [
        set(alert.exp_labels)
        for kind in cases_of(name).values()
        for case in kind
        for look in case.alert_rule_test
        for alert in look.exp_alerts
    ]
    assert expected
    assert all(found == labels | {"severity"} for found in expected)


def test_alertmanager_groups_by_every_label_of_a_subject() -> None:
    route = yaml.safe_load((RULES / "alertmanager.yaml").read_text())["route"]
    carried = set().union(*(labels_of(rule) for rule in SHIPPED.alerts.values()))
    assert carried | {"cluster"} == set(route["group_by"])


def test_rules_read_only_what_the_exporter_publishes() -> None:
    known = {series for metric in declared().values() for series in series_of(metric)}
    known |= SHIPPED.recordings.keys()
    known |= {
        sample.name
        for family in ResponderMetrics().registry.collect()
        for sample in family.samples or [Sample(f"{family.name}_total", {}, 0)]
    }
    rules = SHIPPED.recordings | SHIPPED.alerts
    unknown = {name: rule.metrics - known for name, rule in rules.items() if rule.metrics - known}
    assert unknown == {}
    assert all(rule.metrics for rule in rules.values())


def test_every_kpi_of_the_catalogue_has_a_recording_rule() -> None:
    for kpi in CATALOGUE.values():
        rule = SHIPPED.recordings[f"{LEVELS[kpi.subject]}:kpi_{kpi.name}:rate"]
        assert labels_of(rule) == set(kpi.subject)
        assert kpi.name in WITHIN
        assert kpi.name in VALUES
    assert "namespace_workload:kpi_requests:increase" in SHIPPED.recordings


def test_a_kpi_is_compared_with_its_own_target_the_right_way_round() -> None:
    compared = set()
    for name, rule in SHIPPED.alerts.items():
        for kpi, recording in (
            (each.split(":")[1].removeprefix("kpi_"), each)
            for each in rule.metrics
            if each.endswith(":rate")
        ):
            # The bound itself is out of target: of a measure that is as good as never hit, of a
            # count the first number that is too many.
            above = ">=" if CATALOGUE[kpi].unit == "count" else ">"
            sign = "<" if CATALOGUE[kpi].comparison == "above" else above
            bound = f'{recording} {sign} on () group_left () max(kpi_target{{kpi="{kpi}"}})'
            assert bound in " ".join(rule.expr.split()), name
            compared.add(kpi)
    assert compared == {kpi.name for kpi in CATALOGUE.values() if kpi.target is not None}


def test_groups_have_different_names_so_that_tests_can_order_them() -> None:
    assert len(set(SHIPPED.groups)) == len(SHIPPED.groups)


def test_the_shipped_probe_can_lose_two_within_the_window() -> None:
    specs = exporter_app.collectors()
    settings = exporter_app.read_settings(HOME / "exporter" / "example.yaml", {}, specs)
    assert max(intervals(settings)) <= timedelta(seconds=30)


def intervals(settings: ExporterSettings) -> list[timedelta]:
    probes = settings.enabled()["http_probe"].model_dump()["targets"]
    return [probe["interval"] for probe in probes]
