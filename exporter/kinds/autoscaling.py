"""HorizontalPodAutoscalers: their bounds, where they are between them, and what stops them."""

from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import bounded, gauge
from exporter.kpi import WORKLOAD
from exporter.shared.kube import WORKLOAD_KINDS
from exporter.watch.objects import NO_META, Condition, Meta, View, condition

_TYPES = {kind: workload_type for workload_type, kind in WORKLOAD_KINDS.items()}
_HPA = (*WORKLOAD, "hpa")

MIN = gauge("kpi_hpa_replicas_min", "Fewest pods that the autoscaler may leave.", _HPA)
MAX = gauge("kpi_hpa_replicas_max", "Most pods that the autoscaler may make.", _HPA)
CURRENT = gauge("kpi_hpa_replicas_current", "Pods that the autoscaler last saw.", _HPA)
DESIRED = gauge("kpi_hpa_replicas_desired", "Pods that the autoscaler wants.", _HPA)
AT_MAX = gauge("kpi_hpa_at_max", "1 if the autoscaler wants as many pods as it may make.", _HPA)
CONDITION = gauge(
    "kpi_hpa_condition",
    "1 if the condition holds, 0 if not, with its reason; absent while unknown.",
    (*_HPA, "condition", "reason"),
)
METRICS = (MIN, MAX, CURRENT, DESIRED, AT_MAX, CONDITION)

CONDITIONS = ("AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero")
"""autoscaling/v2's constants."""
REASONS = frozenset(
    {
        "AmbiguousSelector",
        "BackoffBoth",
        "BackoffDownscale",
        "BackoffUpscale",
        "DesiredWithinRange",
        "FailedConvertHPA",
        "FailedGetContainerResourceMetric",
        "FailedGetExternalMetric",
        "FailedGetObjectMetric",
        "FailedGetPodsMetric",
        "FailedGetResourceMetric",
        "FailedGetScale",
        "FailedUpdateScale",
        "InvalidMetricSourceType",
        "InvalidSelector",
        "NotScaledToZero",
        "ReadyForNewScale",
        "ScaleDownLimit",
        "ScaleDownStabilized",
        "ScaleUpLimit",
        "ScaleUpStabilized",
        "ScaledToZero",
        "ScalingDisabled",
        "SucceededGetScale",
        "SucceededRescale",
        "TooFewReplicas",
        "TooManyReplicas",
        "ValidMetricFound",
    }
)
"""What the controller in Kubernetes 1.37 says."""
_KNOWN = {"True": 1.0, "False": 0.0}


class ScaleTarget(View, frozen=True):
    """What is scaled."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(View, frozen=True):
    """The bounds."""

    scale_target_ref: ScaleTarget = ScaleTarget()
    min_replicas: int | None = None
    max_replicas: int = 0


class AutoscalerStatus(View, frozen=True):
    """Where it is between them."""

    current_replicas: int | None = None
    desired_replicas: int | None = None
    conditions: list[Condition] | None = None


class Autoscaler(View, frozen=True):
    """autoscaling/v2 HorizontalPodAutoscaler."""

    metadata: Meta = NO_META
    spec: AutoscalerSpec = AutoscalerSpec()
    status: AutoscalerStatus = AutoscalerStatus()


def samples(autoscaler: Autoscaler) -> Iterator[Sample]:
    """Describe an autoscaler; one of a kind that is no workload of ours names none."""
    meta, spec, status = autoscaler.metadata, autoscaler.spec, autoscaler.status
    target = spec.scale_target_ref
    workload = (target.name, _TYPES[target.kind]) if target.kind in _TYPES else ("", "")
    labels = (meta.namespace, *workload, meta.name)
    # The API server fills in 1 for a minimum that nobody gave.
    yield Sample(MIN, labels, 1.0 if spec.min_replicas is None else float(spec.min_replicas))
    if spec.max_replicas:
        yield Sample(MAX, labels, float(spec.max_replicas))
    if status.current_replicas is not None:
        yield Sample(CURRENT, labels, float(status.current_replicas))
    if status.desired_replicas is not None and _has_decided(status):
        yield Sample(DESIRED, labels, float(status.desired_replicas))
        if spec.max_replicas:
            yield Sample(AT_MAX, labels, float(status.desired_replicas >= spec.max_replicas))
    for one in status.conditions or ():
        if one.type in CONDITIONS and one.status in _KNOWN:
            reason = bounded(one.reason or "", REASONS)
            yield Sample(CONDITION, (*labels, one.type, reason), _KNOWN[one.status])


def _has_decided(status: AutoscalerStatus) -> bool:
    """Say whether the count that it wants is one: 0 stands there also before it could compute."""
    active = condition(status.conditions, "ScalingActive")
    blind = active is not None and active.status == "False" and active.reason != "ScalingDisabled"
    return status.desired_replicas != 0 or not blind
