import json

import pytest

from responder.domain.plan import Blast, Plan, plan_from_json, plan_to_json
from responder.domain.values import Target

PLAN = Plan(
    action="scale",
    target=Target("Deployment", "default", "web"),
    summary="scale default/web from 2 to 3",
    blast=Blast(0, 2),
    reversible=True,
    effect={"replicas": 3},
    precondition={"uid": "u-1", "generation": 4},
    refusal="",
)


def test_a_frozen_plan_is_read_back_equal() -> None:
    assert plan_from_json(json.loads(json.dumps(plan_to_json(PLAN)))) == PLAN


def test_a_plan_of_an_unknown_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="no reader for a frozen plan of schema 2"):
        plan_from_json(plan_to_json(PLAN) | {"schema": 2})
