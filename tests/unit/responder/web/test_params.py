from datetime import timedelta
from typing import Literal

import pytest
from aiohttp import web
from pydantic import Field

from exporter.shared.config import Duration, Section
from exporter.shared.plugins import discover
from responder import actions
from responder.contract import ActionSpec
from responder.web.params import params_of, read

ACTIONS: dict[str, ActionSpec[Section]] = discover(actions, ActionSpec)


class Model(Section):
    """One of each kind."""

    wait: Duration = Field(default=timedelta(seconds=90), alias="for")
    names: tuple[str, ...]
    """Some names."""
    to: Literal["a", "b"] = "a"
    count: int | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    really: bool = False


def test_each_parameter_has_a_field_of_its_kind() -> None:
    found = {param.name: param for param in params_of(Model)}
    assert found["for"].default == "1m30s"
    assert (found["names"].kind, found["names"].is_required) == ("list", True)
    assert found["names"].note == "Some names."
    assert (found["to"].choices, found["to"].default) == (("a", "b"), "a")
    assert (found["count"].kind, found["count"].default) == ("text", "")
    assert found["labels"].kind == "object"
    assert (found["really"].choices, found["really"].default) == (("true", "false"), "false")


def test_what_was_filled_in_is_read_and_what_is_empty_is_left_out() -> None:
    fields = {
        "param.for": "2m",
        "param.names": "a, b,",
        "param.count": "5",
        "param.labels": '{"k": "v"}',
        "param.really": "true",
        "param.to": "",
        "other": "x",
    }
    model = Model.model_validate(read(params_of(Model), fields))
    assert (model.wait, model.names, model.count) == (timedelta(minutes=2), ("a", "b"), 5)
    assert (model.labels, model.really, model.to) == ({"k": "v"}, True, "a")


def test_json_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(web.HTTPBadRequest) as caught:
        read(params_of(Model), {"param.labels": "{"})
    assert str(caught.value.text).startswith("labels is not JSON")


@pytest.mark.parametrize("name", ACTIONS)
def test_every_actions_form_gives_its_own_defaults_back(name: str) -> None:
    spec = ACTIONS[name]
    params = params_of(spec.params)
    if any(param.is_required for param in params):
        return
    filled = {param.field: param.default for param in params if param.default}
    try:
        wanted = spec.params.model_validate({})
    except ValueError:
        return  # it needs one of several, and none by itself
    assert spec.params.model_validate(read(params, filled)) == wanted
