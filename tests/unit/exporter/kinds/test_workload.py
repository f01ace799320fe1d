"""Deployments and the ReplicaSets that tell of their templates."""

import copy

from exporter.kinds.workload import METRICS, DeploymentPublisher, deployment_samples
from exporter.watch.objects import Deployment
from tests.kube_cases import decoded, recorded, replica_sets
from tests.published import Page, lines

RAW = recorded("deployments")[0]
DEPLOYMENT = decoded(Deployment, RAW)
UID = DEPLOYMENT.metadata.uid
(TEMPLATE,) = [one for one in replica_sets().values() if one.owner_uid == UID]


def test_a_deployment_is_published_again_with_each_of_its_replica_sets() -> None:
    page = Page()
    deployments = DeploymentPublisher(page)
    deployments.on_object(DEPLOYMENT)
    assert not page.series("kpi_workload_template_info")
    deployments.replica_sets.on_object(TEMPLATE)
    (labels,) = page.series("kpi_workload_template_info")
    assert labels[3:] == ("75958fdd7c", "1")
    deployments.replica_sets.on_delete(TEMPLATE.uid)
    assert not page.series("kpi_workload_template_info")


def test_a_replica_set_does_not_bring_back_a_deployment_that_is_gone() -> None:
    page = Page()
    deployments = DeploymentPublisher(page)
    deployments.on_object(DEPLOYMENT)
    deployments.begin()
    deployments.replica_sets.on_object(TEMPLATE)
    assert set(page.samples) == {UID}
    deployments.sweep()
    deployments.replica_sets.on_delete(TEMPLATE.uid)
    assert page.samples == {}


def test_what_the_controller_says_of_a_rollout_is_bounded() -> None:
    for said, told in (
        ("ProgressDeadlineExceeded", "ProgressDeadlineExceeded"),
        ("ByMoonlight", "Other"),
    ):
        raw = copy.deepcopy(RAW)
        for one in raw["status"]["conditions"]:  # type: ignore[index]  # JSON
            one["reason"] = said
        page = lines(METRICS, deployment_samples(decoded(Deployment, raw), []))
        (line,) = [line for line in page if "progressing_reason" in line]
        assert f'reason="{told}"' in line
