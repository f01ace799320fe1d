"""Every scenario on a real cluster, with the product as the chart installs it."""

import asyncio
import itertools
from collections.abc import Mapping

import pytest

from tests.bed.scenario import discovered
from tests.bed.stage import Played, Stage

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

UNUSED = {
    "other kinds of workload, on the same paths": [
        "alert-responder: get apps/daemonsets",
        "alert-responder: get apps/statefulsets",
        "alert-responder: patch apps/daemonsets",
        "alert-responder: patch apps/statefulsets",
    ],
    "targets named by a pod alone, which no shipped alert does": [
        "alert-responder: get /pods",
        "alert-responder: get apps/replicasets",
    ],
    "listing in pages, for servers without WatchList": [
        "kpi-exporter: list /events",
        "kpi-exporter: list /nodes",
        "kpi-exporter: list /persistentvolumeclaims",
        "kpi-exporter: list /services",
        "kpi-exporter: list apps/replicasets",
        "kpi-exporter: list autoscaling/horizontalpodautoscalers",
        "kpi-exporter: list batch/cronjobs",
        "kpi-exporter: list batch/jobs",
        "kpi-exporter: list discovery.k8s.io/endpointslices",
        "kpi-exporter: list policy/poddisruptionbudgets",
    ],
    "releases that are kept in ConfigMaps": ["kpi-exporter: list /configmaps"],
    "probes of a Service's load balancer": ["kpi-exporter: get /services"],
    "findings of a scanner that is not installed": [
        "kpi-exporter: list aquasecurity.github.io/vulnerabilityreports"
    ],
}
"""Rights that no scenario takes, by what they are for."""


@pytest.mark.parametrize("name", sorted(discovered()))
async def test_a_scenario_ends_as_it_should(
    name: str, plays: Mapping[str, asyncio.Task[Played]], table: dict[str, str]
) -> None:
    played = await plays[name]
    story = played.story
    table[name] = story.row(name, played.factor)
    assert played.ended_well, "\n".join(story.lines)


async def test_the_scenarios_used_every_right_but_these_and_asked_for_no_other(
    stage: Stage, table: dict[str, str]
) -> None:
    if not discovered().keys() <= table.keys():
        pytest.skip("not every scenario was played")
    used = stage.used()
    assert sorted(map(str, set(used) - stage.granted)) == []
    refused = {str(right): codes for right, codes in used.items() if codes & {401, 403}}
    assert refused == {}
    unused = stage.granted - set(used)
    assert sorted(map(str, unused)) == sorted(itertools.chain(*UNUSED.values()))
