from datetime import timedelta

import pytest
from pydantic import ValidationError

from responder.actions import notify, verify, wait
from responder.promql import selector


def test_wait_is_written_with_for_and_survives_being_frozen() -> None:
    params = wait.Params.model_validate({"for": "90s"})
    assert params.duration == timedelta(seconds=90)
    assert params.model_dump(mode="json") == {"for": "1m30s"}
    assert wait.Params.model_validate(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kpi": 'error_ratio"} or vector(0) #'},
        {"kpi": "error_ratio", "settle": "1m", "window": "2m", "timeout": "2m"},
        {"kpi": "error_ratio", "min_requests": -1},
        {"kpi": "error_ratio", "bound": "nan"},
    ],
)
def test_verify_refuses_what_can_never_be_told(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        verify.Params.model_validate(params)


def test_notify_needs_somebody_to_tell() -> None:
    with pytest.raises(ValidationError):
        notify.Params.model_validate({"receivers": [], "text": "hello"})


def test_a_label_value_cannot_leave_its_quotes() -> None:
    assert selector({"pod": 'a"} or up{x="\\\n'}) == '{pod="a\\"} or up{x=\\"\\\\\\n"}'
