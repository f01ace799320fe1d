import re
from datetime import timedelta
from pathlib import Path

import pytest

import exporter.collectors
from exporter.application import Gauge
from exporter.contract import CollectorSpec
from exporter.kpi import CATALOGUE
from exporter.settings import PREFIX, PRESETS, ExporterSettings, settings_model
from exporter.shard import Shard
from exporter.shared.config import ConfigError, Section, load_settings, read_yaml, validate
from exporter.shared.plugins import discover

TARGETS = {kpi.name: kpi.target for kpi in CATALOGUE.values() if kpi.target is not None}
MODEL = settings_model(discover(exporter.collectors, CollectorSpec), TARGETS)

APPLICATION = """
applications:
  - name: web
    selector: {selector}
    port: 8000
    {names}
"""


def read(text: str) -> ExporterSettings:
    return validate(MODEL, read_yaml(text, file="f.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(text)
    return [str(each) for each in error.value.problems]


def application(selector: str = "app=web", names: str = "preset: micrometer") -> str:
    return APPLICATION.format(selector=selector, names=names)


def test_without_a_word_nothing_is_collected_and_the_targets_are_the_guides() -> None:
    settings = read("")
    assert settings.enabled() == {}
    assert settings.targets() == TARGETS
    assert (settings.listen.port, settings.max_series) == (9842, 300_000)


def test_a_collector_is_on_when_its_section_is_there_even_empty() -> None:
    text = "collectors:\n  kubernetes:\n  http_probe: {}\n  postgres: {enabled: false}\n"
    assert sorted(read(text).enabled()) == ["http_probe", "kubernetes"]


def test_a_mistake_in_a_collectors_section_has_its_place_in_the_file() -> None:
    assert problems("collectors:\n  postgres:\n    intervall: 5s\n") == [
        'f.yaml:3:5: collectors.postgres.intervall is not a setting; did you mean "interval"?'
    ]
    assert problems("collectors:\n  kubernets: {}\n") == [
        'f.yaml:2:3: collectors.kubernets is not a setting; did you mean "kubernetes"?'
    ]


def test_a_collectors_settings_are_those_of_its_own_model() -> None:
    section = read("collectors: {app_metrics: {interval: 7s}}").enabled()["app_metrics"]
    specs: dict[str, CollectorSpec[Section]] = discover(exporter.collectors, CollectorSpec)
    assert isinstance(section, specs["app_metrics"].settings)
    assert section.model_dump()["interval"] == timedelta(seconds=7)


def test_a_target_can_be_moved_but_only_of_a_kpi_there_is() -> None:
    assert read("kpi_targets: {error_ratio: 0.02}").targets() == {**TARGETS, "error_ratio": 0.02}
    assert problems("kpi_targets:\n  error_ration: 0.02\n") == [
        'f.yaml:2:3: kpi_targets.error_ration is not a setting; did you mean "error_ratio"?'
    ]


def test_variables_reach_into_collectors_and_misspelt_ones_are_refused() -> None:
    environ = {
        "EXPORTER__LISTEN__PORT": "0",
        "EXPORTER__COLLECTORS__POSTGRES__INTERVAL": "1m",
        "EXPORTER__KPI_TARGETS__ERROR_RATIO": "0.5",
    }
    settings = load_settings(MODEL, None, prefix=PREFIX, environ=environ)
    assert settings.listen.port == 0
    assert settings.enabled()["postgres"].model_dump()["interval"] == timedelta(minutes=1)
    assert settings.targets()["error_ratio"] == 0.5
    wrong = {"EXPORTER__COLLECTORS__POSTGRES__INTERVALL": "1m"}
    with pytest.raises(ConfigError, match="did you mean EXPORTER__COLLECTORS__POSTGRES__INTERVAL"):
        load_settings(MODEL, None, prefix=PREFIX, environ=wrong)


def test_a_preset_names_what_a_library_calls_its_histogram() -> None:
    [web] = read(application()).applications
    assert {key: getattr(web, key) for key in PRESETS["micrometer"]} == PRESETS["micrometer"]
    [web] = read(application(names="preset: micrometer\n    route_label: path")).applications
    assert web.application().route_label == "path"
    [problem] = problems(application(names="preset: micromete"))
    assert problem.startswith("f.yaml:6:13: applications[0].preset: 'micromete' is not a preset;")
    assert problem.endswith('did you mean "micrometer"?')


def test_a_selector_is_a_mapping_or_text() -> None:
    for selector in ("{app: web, tier: front}", "'app=web, tier=front'"):
        [web] = read(application(selector)).applications
        assert web.application().selector == {"app": "web", "tier": "front"}
    assert "is not a selector" in problems(application("app"))[0]


def test_pods_can_tell_their_port_themselves_or_the_settings_must() -> None:
    text = "applications:\n  - {name: web, preset: micrometer, namespace: '*', annotated: true}\n"
    [web] = read(text).applications
    found = web.application()
    assert (found.namespace, found.port, found.path, found.selector) == ("", None, None, {})
    bare = text.replace("annotated: true", "selector: {app: web}")
    assert "port is missing" in problems(bare)[0]
    assert "give it a selector" in problems(text.replace("annotated: true", "port: 80"))[0]


def test_a_resource_is_named_by_gauges_or_bounded_by_a_number() -> None:
    more = "saturation: [{resource: pool, used: 'pool{state=\"used\"}', limit: LIMIT}]"
    text = application(names=f"preset: micrometer\n    {more}")
    for limit, expected in (("20", 20.0), ("pool_max", Gauge("pool_max", {}))):
        [web] = read(text.replace("LIMIT", limit)).applications
        [pool] = web.application().saturation
        assert (pool.used, pool.limit) == (Gauge("pool", {"state": "used"}), expected)
    assert (
        "stands there twice"
        in problems(
            text.replace("used: 'pool{state=\"used\"}'", "used: LIMIT").replace("LIMIT", "pool")
        )[0]
    )
    assert "is not a gauge" in problems(text.replace("LIMIT", "'a b c'"))[0]


def test_two_applications_of_one_name_are_refused() -> None:
    text = application() + application().partition("applications:")[2]
    assert problems(text) == ["f.yaml:3:3: applications: two applications are called web"]


def test_what_the_example_has_commented_out_is_valid_too() -> None:
    example = Path(exporter.collectors.__path__[0]).parent / "example.yaml"
    settings = read(re.sub(r"^( *)#(?=\S)", r"\1", example.read_text(), flags=re.MULTILINE))
    assert [each.name for each in settings.applications] == ["task-manager", "annotated"]
    probes = settings.enabled()["http_probe"].model_dump()
    assert [target["name"] for target in probes["targets"]] == ["task-manager", "frontend", "shop"]
    assert list(probes["modules"]) == ["strict"]


def test_the_shipped_example_is_valid() -> None:
    example = Path(exporter.collectors.__path__[0]).parent / "example.yaml"
    settings = load_settings(MODEL, example, prefix=PREFIX, environ={})
    observed = {"app_metrics", "http_probe", "kubernetes", "usage", "postgres"}
    always = observed | {"helm", "security", "sql_kpi"}
    assert set(settings.enabled()) == always


def test_a_shards_index_comes_from_the_pods_name_unless_it_is_set() -> None:
    text = "shard: {total: 3}"
    assert read(text).shard.shard("exporter-2") == Shard(2, 3)
    assert read("shard: {total: 3, index: 1}").shard.shard("exporter-2") == Shard(1, 3)
    assert read("").shard.shard("exporter-7d9f-xk2lp") == Shard(0, 1)
    with pytest.raises(ConfigError, match="does not end in a number"):
        read(text).shard.shard("exporter-7d9f-xk2lp")
    with pytest.raises(ConfigError, match="exporter-3 is no shard of 3"):
        read(text).shard.shard("exporter-3")
    assert problems("shard: {total: 2, index: 2}") == [
        "f.yaml:1:8: shard: index 2 is not below total 2"
    ]
