"""Every watched kind on objects that a Kubernetes 1.37 API server gave."""

import pytest

from exporter.collectors.kubernetes import SPEC
from exporter.kinds import apiserver, dns
from tests.json_fields import Path, changed, paths
from tests.kube_cases import BY_FIELD, CASES, DATA, page, recorded
from tests.published import lines

each_object = pytest.mark.parametrize(
    ("kind", "number"),
    [(kind, number) for kind in BY_FIELD for number in range(len(recorded(kind)))],
)


@pytest.mark.parametrize("kind", CASES)
def test_the_page_is_as_written_down(kind: str) -> None:
    assert page(kind) == (DATA / f"{kind}.prom").read_text()


@each_object
def test_any_field_may_be_missing(kind: str, number: int) -> None:
    case, raw = BY_FIELD[kind], recorded(kind)[number]
    whole = lines(case.metrics, case.samples(raw))
    for path in paths(raw):
        left = lines(case.metrics, case.samples(changed(raw, path)))
        # An end without its reason is taken for no completion, which is one line more.
        assert len(left) <= len(whole) + 1, path


VALUES = frozenset(
    {"metadata", "name", "namespace", "uid", "kind", "resourceVersion", "generation", "spec"}
    | {"status", "type", "updateStrategy", "restartCount", "effect", "cpu", "memory", "storage"}
    | {"pods", "ephemeral-storage", "resources", "scaleTargetRef", "maxReplicas", "addressType"}
    | {"loadBalancer", "involvedObject", "count", "nodeInfo"}
)
"""Names of fields that Go writes as values, or leaves out: they are never null."""
OF_VALUES = frozenset({"labels", "annotations", "nodeInfo", "capacity", "allocatable"})
"""What holds values alone."""
COUNTED = frozenset({"deployments", "stateful_sets", "daemon_sets", "disruption_budgets"})
"""Kinds whose status holds counts."""


def may_be_null(kind: str, path: Path) -> bool:
    """Say whether the API may write null at `path`: for lists, maps, pointers and times."""
    if path[-1] in VALUES or OF_VALUES & set(path[:-1]):
        return False
    if kind in COUNTED and path[0] == "status":
        return path[-1] == "conditions"
    return kind != "endpoint_slices" or path[-1] != "conditions"


@each_object
def test_what_may_be_left_out_may_be_null(kind: str, number: int) -> None:
    case, raw = BY_FIELD[kind], recorded(kind)[number]
    nullable = [path for path in paths(raw) if may_be_null(kind, path)]
    assert nullable
    for path in nullable:
        missing = lines(case.metrics, case.samples(changed(raw, path)))
        null = lines(case.metrics, case.samples(changed(raw, path, to_null=True)))
        assert null == missing, path


def test_every_metric_is_published_by_some_recorded_object() -> None:
    pages = "".join(page(kind) for kind in CASES).splitlines()
    seen = {line.partition("{")[0] for line in pages if not line.startswith("#")}
    asked = {metric.name for metric in (*apiserver.METRICS, *dns.METRICS)}
    assert seen | asked == {metric.name for metric in SPEC.metrics}
