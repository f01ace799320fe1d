"""What every collector promises, run on whatever is discovered."""

import re
from itertools import chain
from pathlib import Path

import pytest

from exporter.app import collectors, families, model
from exporter.contract import CollectorSpec, Metric
from exporter.exposition.store import FragmentStore
from exporter.kpi import CATALOGUE
from exporter.settings import PREFIX
from exporter.shared.config import Section, load_settings
from tests.fake_clients import FakeClients

SPECS = collectors()
EXAMPLE = Path(__file__).parents[2] / "exporter" / "example.yaml"

UNITS = ("_seconds", "_bytes", "_ratio", "_total", "_info", "_timestamp_seconds")
FOREIGN_UNITS = re.compile(
    r"_(ms|milliseconds|microseconds|minutes|hours|days|kb|mb|gb|kib|mib|gib|percent|pct)(_|$)"
)
TARGET_LABELS = {"cluster", "region", "zone", "env", "service", "instance", "job", "type", "le"}
"""Labels that belong to the scrape configuration, or say nothing."""

own_metrics = [
    pytest.param(metric, id=f"{name}-{metric.name}")
    for name, spec in SPECS.items()
    for metric in spec.metrics
]
every_metric = [pytest.param(metric, id=metric.name) for metric in families(SPECS)]
every_spec = pytest.mark.parametrize("name", sorted(SPECS))


def test_collectors_are_found() -> None:
    assert {"app_metrics", "http_probe", "kubernetes", "postgres"} <= set(SPECS)


@pytest.mark.parametrize("metric", every_metric)
def test_names_and_units_follow_prometheus_practice(metric: Metric) -> None:
    assert re.fullmatch(r"kpi_[a-z0-9]+(_[a-z0-9]+)*", metric.name)
    assert not FOREIGN_UNITS.search(metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or metric.name.endswith(UNITS)
    assert not metric.name.endswith(("_bucket", "_sum", "_count"))


@pytest.mark.parametrize("metric", every_metric)
def test_help_is_a_sentence(metric: Metric) -> None:
    assert len(metric.help.split()) >= 2
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", own_metrics)
def test_labels_are_few_plain_and_name_the_subject(metric: Metric) -> None:
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)
    assert not TARGET_LABELS & set(metric.labels)


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
