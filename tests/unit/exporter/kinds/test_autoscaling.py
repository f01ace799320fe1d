"""Autoscalers in states that the recorded ones are not in."""

from exporter.kinds.autoscaling import (
    METRICS,
    Autoscaler,
    AutoscalerSpec,
    AutoscalerStatus,
    ScaleTarget,
    samples,
)
from exporter.watch.objects import Condition, Meta
from tests.published import lines


def page(desired: int, *conditions: Condition, kind: str = "Deployment") -> list[str]:
    autoscaler = Autoscaler(
        metadata=Meta(name="hpa", namespace="shop"),
        spec=AutoscalerSpec(scale_target_ref=ScaleTarget(kind, "web"), max_replicas=4),
        status=AutoscalerStatus(2, desired, list(conditions)),
    )
    return lines(METRICS, samples(autoscaler))


def named(name: str, found: list[str]) -> list[str]:
    return [line for line in found if line.startswith(name)]


def test_the_count_it_wants_is_unknown_before_it_could_compute_one() -> None:
    blind = Condition("ScalingActive", "False", "FailedGetResourceMetric")
    found = page(0, blind)
    assert not named("kpi_hpa_replicas_desired", found)
    assert not named("kpi_hpa_at_max", found)
    assert named("kpi_hpa_replicas_desired", page(3, blind))


def test_zero_is_a_count_where_scaling_is_disabled() -> None:
    (line,) = named(
        "kpi_hpa_replicas_desired", page(0, Condition("ScalingActive", "False", "ScalingDisabled"))
    )
    assert line.endswith(" 0.0")


def test_a_condition_is_absent_while_unknown_and_its_reason_bounded() -> None:
    found = page(
        1,
        Condition("AbleToScale", "Unknown", "ReadyForNewScale"),
        Condition("ScalingLimited", "True", "Moonshine"),
        Condition("Invented", "True", "ReadyForNewScale"),
    )
    (line,) = named("kpi_hpa_condition", found)
    assert 'condition="ScalingLimited"' in line
    assert 'reason="Other"' in line


def test_an_autoscaler_of_a_kind_of_its_own_names_no_workload() -> None:
    assert 'workload="",workload_type=""' in page(1, kind="Rollout")[0]
