"""Every scenario on a real cluster, with the product as the chart installs it."""

import asyncio
import itertools
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from tests.bed import real_bed, rights, watch
from tests.bed.load import Load
from tests.bed.real_bed import Ground
from tests.bed.rights import Right
from tests.bed.scenario import discovered
from tests.bed.settings import write_policies
from tests.bed.story import Story

pytestmark = [pytest.mark.timeout(420), pytest.mark.asyncio(loop_scope="session")]

RATE = 40.0
"""Requests a second; a verification window still sees min_requests."""
FACTOR = 20.0
"""What durations are divided by at least, to have the whole within a quarter of an hour."""
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
TOLD = ("alert_firing", "applied", "verified", "incident_resolved")
"""Facts of an incident whose times are shown: detected, acted, verified, over."""


@pytest.mark.parametrize("name", sorted(discovered()))
async def test_a_scenario_ends_as_it_should(
    name: str, ground: Ground, tmp_path: Path, table: list[str], granted: set[Right]
) -> None:
    scenario = discovered()[name]
    factor = scenario.factor if scenario.real else max(scenario.factor, FACTOR)
    story = Story(SystemClock())
    async with real_bed.start(
        ground,
        tmp_path,
        factor=factor,
        policies=write_policies(tmp_path, scenario.policy),
        resources=scenario.resources,
    ) as bed:
        granted |= await asyncio.to_thread(rights.granted, ground.cluster)
        urls = [f"{bed.places.probe_url}/tasks"]
        async with Load.start(lambda: urls, rate=RATE):
            await watch.until_healthy(bed, scenario.kpi)
            ended_well = await scenario.play(bed, story)
    times = [f"{story.times[kind]:.1f}" if kind in story.times else "-" for kind in TOLD]
    widths = (9, 7, 9, 7)
    shown = " ".join(f"{time:>{width}}" for time, width in zip(times, widths, strict=True))
    table.append(f"{name:<20} {factor:>6g} {shown}")
    assert ended_well, story.seen


async def test_the_scenarios_used_every_right_but_these_and_asked_for_no_other(
    ground: Ground, table: list[str], granted: set[Right]
) -> None:
    if len(table) < len(discovered()):
        pytest.skip("not every scenario was played")
    used = rights.used(ground.cluster, but_by=rights.BORROWER)
    assert sorted(map(str, set(used) - granted)) == []
    refused = {str(right): codes for right, codes in used.items() if codes & {401, 403}}
    assert refused == {}
    assert sorted(map(str, granted - set(used))) == sorted(itertools.chain(*UNUSED.values()))
