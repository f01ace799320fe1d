import pytest
from pydantic import ValidationError

from responder.actions.scale import Params


@pytest.mark.parametrize(
    ("params", "replicas", "wanted"),
    [
        ({"to": 4}, 2, 4),
        ({"to": 0, "min": 0}, 2, 0),
        ({"by": 2}, 3, 5),
        ({"by": "+2"}, 3, 5),
        ({"by": "-1"}, 3, 2),
        ({"by": "50%"}, 3, 5),
        ({"by": "-50%"}, 3, 2),
        ({"by": "50%"}, 0, 0),
        ({"by": "-25%"}, 3, 3),
        ({"by": "-9"}, 3, 1),
        ({"by": "-9", "min": 0}, 3, 0),
        ({"by": "50%", "max": 4}, 4, 4),
        ({"by": "50%", "max": 4}, 3, 4),
        ({"by": "50%", "max": 4}, 9, 9),
        ({"by": "-1", "min": 3}, 2, 2),
    ],
)
def test_a_step_counts_whole_pods_and_a_bound_never_turns_it_around(
    params: dict[str, object], replicas: int, wanted: int
) -> None:
    assert Params.model_validate(params).wanted(replicas) == wanted


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"to": 1, "by": 1},
        {"by": "0"},
        {"by": "half"},
        {"by": True},
        {"by": "1.5"},
        {"to": 0},
        {"to": 9, "max": 5},
        {"by": 1, "min": 3, "max": 2},
        {"to": -1},
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_policy_is_read(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate(params)


def test_parameters_survive_being_frozen_as_json() -> None:
    params = Params.model_validate({"by": "50%", "max": 10})
    assert Params.model_validate(params.model_dump(mode="json")) == params
