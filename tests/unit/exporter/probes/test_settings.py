"""Settings of probes: what can be said, and what is refused with a word of help."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from exporter.probes.settings import Module, OnDemand, Settings, Target

TARGET = {"name": "health", "url": "http://a.test/health", "workload": "web"}


@pytest.mark.parametrize(
    ("said", "read"), [(200, ("200",)), ("2..", ("2..",)), ([200, "30."], ("200", "30."))]
)
def test_a_status_is_a_number_an_expression_or_several(said: object, read: object) -> None:
    assert Module.model_validate({"status": said}).status == read


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ({"status": "2("}, "not a regular expression"),
        ({"body_matches": ["("]}, "not a regular expression"),
        ({"expect_headers": {"X": "["}}, "not a regular expression"),
        ({"method": "POST"}, "GET"),
        ({"redirects": 11}, "10"),
        ({"tls": {"min_version": "TLS10"}}, "TLS12"),
    ],
)
def test_a_module_that_cannot_be_carried_out_is_refused(module: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Module.model_validate(module)


@pytest.mark.parametrize("url", ["", "127.0.0.1:80/health", "file:///etc/passwd", "http:///x"])
def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Target.model_validate({**TARGET, "url": url})


def test_a_target_has_one_address() -> None:
    for wrong in ({**TARGET, "service": "default/web"}, {"name": "x", "workload": "web"}):
        with pytest.raises(ValidationError, match="either a url or a service"):
            Target.model_validate(wrong)


def test_a_service_names_the_workload_unless_it_is_another_one() -> None:
    front = Target.model_validate({"name": "front", "service": "shop/front"})
    assert front.subject == ("shop", "front", "deployment")
    other = Target.model_validate(
        {"name": "front", "service": "shop/front", "workload": "web", "namespace": "x"}
    )
    assert other.subject == ("x", "web", "deployment")
    with pytest.raises(ValidationError, match="pattern"):
        Target.model_validate({"name": "front", "service": "front"})


def test_a_module_that_is_not_there_is_refused_with_the_one_that_was_meant() -> None:
    given = {"targets": [{**TARGET, "module": "strickt"}], "modules": {"strict": {}}}
    with pytest.raises(ValidationError, match='did you mean "strict"'):
        Settings.model_validate(given)


def test_the_default_module_is_there_and_can_be_another_one() -> None:
    assert Settings().modules_by_name()["http_2xx"] == Module()
    changed = Settings.model_validate({"modules": {"http_2xx": {"timeout": "1s"}}})
    assert changed.modules_by_name()["http_2xx"].timeout == timedelta(seconds=1)


def test_on_demand_names_targets_that_are_there() -> None:
    for names in (["health"], ["*"], []):
        Settings.model_validate({"targets": [TARGET], "on_demand": {"targets": names}})
    with pytest.raises(ValidationError, match="is no target"):
        Settings.model_validate({"targets": [TARGET], "on_demand": {"targets": ["helth"]}})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hosts": ["http://a.test"]}, "is no host"),
        ({"hosts": ["*"]}, "is no host"),
        ({"networks": ["10.0.0.1/8"]}, "host bits"),
        ({"networks": ["everywhere"]}, "does not appear to be"),
    ],
)
def test_an_allow_list_that_would_allow_something_else_is_refused(
    given: object, words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        OnDemand.model_validate(given)
