"""The dashboards by Grafana's own types, and as the chart hands them to Grafana."""

import json
from pathlib import Path

import pytest

from tests.bed import dashboards, grafana_types
from tests.e2e.test_chart import CONFIG_MAP_BYTES, Object, helm, name, of_kind, rendered

pytestmark = pytest.mark.timeout(400)  # the first run installs the types

GUIDES = "https://ops.example/runbookd"


def drawn(*arguments: str) -> list[Object]:
    return [
        each for each in of_kind(rendered(*arguments), "ConfigMap") if "dashboard" in name(each)
    ]


@pytest.mark.parametrize("file", dashboards.files(), ids=lambda file: str(file.stem))
def test_a_dashboard_is_one_by_grafanas_types(file: Path, tmp_path: Path) -> None:
    assert grafana_types.faults(json.loads(file.read_text()), tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('"gridPos"', '"gridPosition"', "'\"gridPosition\"' does not exist"),
        ('"refresh": "30s"', '"refresh": 30', "'number' is not assignable to type 'string'"),
        ('"mode": "thresholds"', '"mode": "threshold"', "'\"threshold\"' is not assignable"),
    ],
)
def test_grafanas_types_refuse_what_means_nothing(
    right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    text = (dashboards.FOLDER / "responder.json").read_text()
    assert said in grafana_types.faults(json.loads(text.replace(right, wrong)), tmp_path)


def test_every_dashboard_is_a_config_map_that_grafana_finds() -> None:
    found = drawn("--set", "dashboards.enabled=true")
    assert len(found) == len(dashboards.files())
    for each in found:
        metadata, data = each["metadata"], each["data"]
        assert isinstance(metadata, dict)
        assert isinstance(data, dict)
        assert metadata["labels"]["grafana_dashboard"] == "1"
        assert len(json.dumps(each)) < CONFIG_MAP_BYTES
        ((file, text),) = data.items()
        stem = str(file).removeprefix("runbookd-")
        assert json.loads(text) == json.loads((dashboards.FOLDER / stem).read_text())


def test_guides_are_where_people_reach_the_responder() -> None:
    url = f"responder.settings.public_url={GUIDES}/"
    texts = json.dumps(drawn("--set", "dashboards.enabled=true", "--set", url))
    assert f"{GUIDES}/guides/KpiLatencyHigh" in texts
    assert "127.0.0.1" not in texts


def test_dashboards_come_with_monitoring_or_when_asked_for() -> None:
    operator = ("--api-versions", "monitoring.coreos.com/v1")
    assert not drawn()
    assert drawn(*operator)
    assert not drawn(*operator, "--set", "dashboards.enabled=false")
    labels = json.dumps(drawn("--set", "dashboards.enabled=true,dashboards.labels.team=ops"))
    assert '"team": "ops"' in labels


def test_a_value_of_the_dashboards_that_means_nothing_is_refused() -> None:
    done = helm(
        "template", "rb", "--set", "dashboards.enable=true", str(dashboards.FOLDER.parents[1])
    )
    assert done.returncode != 0
    assert "enable" in done.stderr
