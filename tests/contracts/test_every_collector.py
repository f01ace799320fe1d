"""What every collector promises, run on whatever is discovered."""

from itertools import chain
from pathlib import Path

import pytest

from exporter.app import collectors, families, model
from exporter.collectors import sql_kpi
from exporter.contract import CollectorSpec, Metric
from exporter.exposition.store import FragmentStore
from exporter.kpi import CATALOGUE
from exporter.naming import label_complaint, metric_complaint
from exporter.settings import PREFIX
from exporter.shared.config import Section, load_settings
from tests.fake_clients import FakeClients

SPECS = collectors()
EXAMPLE = Path(__file__).parents[2] / "exporter" / "example.yaml"

UNITS = ("_seconds", "_bytes", "_ratio", "_total", "_info", "_timestamp_seconds")
own_metrics = [
    pytest.param(metric, id=f"{name}-{metric.name}")
    for name, spec in SPECS.items()
    for metric in spec.metrics
]
every_metric = [
    pytest.param(metric, id=metric.name)
    for metric in families(SPECS)
    if not metric.name.startswith("process_")  # prometheus_client's names, as in every program
]
every_spec = pytest.mark.parametrize("name", sorted(SPECS))


def test_collectors_are_found() -> None:
    assert {"app_metrics", "http_probe", "kubernetes", "postgres"} <= set(SPECS)


@pytest.mark.parametrize("metric", every_metric)
def test_names_and_units_follow_prometheus_practice(metric: Metric) -> None:
    assert metric_complaint(metric.name, metric.kind) == ""
    assert metric.kind != "histogram" or metric.name.endswith(UNITS)


@pytest.mark.parametrize("metric", every_metric)
def test_help_is_a_sentence(metric: Metric) -> None:
    assert len(metric.help.split()) >= 2
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", own_metrics)
def test_labels_are_few_plain_and_name_the_subject(metric: Metric) -> None:
    assert len(set(metric.labels)) == len(metric.labels)
    assert [label_complaint(label) for label in metric.labels] == [""] * len(metric.labels)


def test_what_settings_name_cannot_clash_with_what_is_built_in() -> None:
    built_in = {metric.name for metric in families(SPECS)}
    assert not any(name.startswith(sql_kpi.PREFIX) for name in built_in)


def test_no_two_families_have_one_name() -> None:
    FragmentStore(families(SPECS), max_series=1)


@every_spec
def test_the_defaults_of_the_settings_are_valid_and_each_setting_is_explained(name: str) -> None:
    spec = SPECS[name]
    spec.settings()
    unexplained = [
        field for field, info in spec.settings.model_fields.items() if not info.description
    ]
    assert not unexplained


@every_spec
async def test_the_sources_of_the_example_are_built_without_connecting(name: str) -> None:
    settings = load_settings(model(SPECS), EXAMPLE, prefix=PREFIX, environ={})
    applications = [each.application() for each in settings.applications]
    clients = FakeClients(applications)
    section = getattr(settings.collectors, name)  # also one that the example leaves off
    sources = SPECS[name].sources(section, clients)
    assert sources
    names = [source.name for source in sources]
    assert len(set(names)) == len(names)
    assert all(names)


@every_spec
def test_the_kpis_of_a_collector_are_in_the_catalogue(name: str) -> None:
    assert set(SPECS[name].kpis) <= set(CATALOGUE)


def test_every_kpi_with_a_target_is_read_by_some_collector() -> None:
    read = set(chain.from_iterable(spec.kpis for spec in SPECS.values()))
    assert {kpi.name for kpi in CATALOGUE.values() if kpi.target is not None} <= read


def test_a_spec_is_its_modules_constant_and_named_like_it() -> None:
    for name, spec in SPECS.items():
        assert isinstance(spec, CollectorSpec)
        assert spec.name == name
        assert spec.help.endswith(".")
        assert issubclass(spec.settings, Section)
