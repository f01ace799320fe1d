from dataclasses import replace

import pytest

from responder.domain.policy import GateConfig, Mode, Policy, Runbook, StepDef
from responder.permissions import Permissions, manifests, needed
from tests.bed.steps import ACTIONS

RESTART = Runbook("roll", (), "workload", Mode.ACT, (StepDef("restart"),))
ALLOWED = GateConfig(allow=frozenset({"default", "shop"}), deny=frozenset({"shop"}))
PODS, SCALERS = ("", "pods"), ("autoscaling", "horizontalpodautoscalers")


def of(*runbooks: Runbook, by_hand: tuple[str, ...] = ()) -> Permissions:
    return needed(Policy({}, runbooks, {}, ALLOWED), ACTIONS, by_hand)


def test_what_acts_is_allowed_to_change_where_the_gate_allows_it_and_nowhere_else() -> None:
    found = of(RESTART)
    assert found.writes == {
        ("apps", kind): {"patch"} for kind in ("deployments", "statefulsets", "daemonsets")
    }
    assert found.namespaces == ("default",)
    assert not {"patch"} & set().union(*found.reads.values())


def test_what_observes_may_only_look() -> None:
    assert of(replace(RESTART, mode=Mode.OBSERVE)).writes == {}


def test_an_action_that_one_runbook_observes_and_another_takes_is_allowed() -> None:
    observed = replace(RESTART, name="look", mode=Mode.OBSERVE)
    assert of(RESTART, observed).writes == of(observed, RESTART).writes == of(RESTART).writes


def test_evidence_is_read_before_every_effect_though_no_runbook_names_it() -> None:
    assert of().reads[PODS] == {"get", "list"}
    assert of().reads["", "events"] == {"list"}


def test_what_people_run_by_hand_is_allowed_too() -> None:
    found = of(by_hand=("scale",))
    assert found.writes[SCALERS] == {"patch"}
    assert found.reads[SCALERS] == {"list"}
    with pytest.raises(KeyError):
        of(by_hand=("sclae",))


def test_each_role_is_bound_to_the_account_in_its_own_namespace() -> None:
    found = manifests(of(RESTART), "alert-responder", "runbookd")
    kinds = [(each["kind"], each["metadata"]) for each in found]
    name = {"name": "alert-responder"}
    assert kinds == [
        ("ClusterRole", name),
        ("ClusterRoleBinding", name),
        ("Role", name | {"namespace": "default"}),
        ("RoleBinding", name | {"namespace": "default"}),
    ]
    account = {"kind": "ServiceAccount", "name": "alert-responder", "namespace": "runbookd"}
    assert [each["subjects"] for each in found if "subjects" in each] == [[account], [account]]
