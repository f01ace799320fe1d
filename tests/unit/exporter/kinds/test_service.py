"""Load balancers' addresses, and the endpoints of a Service over all of its slices."""

import copy

from exporter.kinds import service
from exporter.kinds.service import (
    ENDPOINTS_NOT_READY,
    ENDPOINTS_READY,
    Endpoint,
    EndpointConditions,
    EndpointPublisher,
    EndpointSlice,
)
from exporter.watch.objects import Meta
from tests.kube_cases import decoded, recorded
from tests.published import Page, lines

WEB = ("shop", "web")
READY = EndpointConditions(ready=True)
NOT_READY = EndpointConditions(ready=False)
LEAVING = EndpointConditions(ready=False, terminating=True)
UNSAID = EndpointConditions()


def slice_of(
    uid: str, *conditions: EndpointConditions, name: str = "web", family: str = "IPv4"
) -> EndpointSlice:
    labels = {service.SERVICE_NAME: name} if name else {}
    return EndpointSlice(
        metadata=Meta(uid=uid, namespace="shop", labels=labels),
        address_type=family,
        endpoints=[Endpoint(conditions=one) for one in conditions],
    )


def counts(page: Page) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
    return page.series(ENDPOINTS_READY), page.series(ENDPOINTS_NOT_READY)


def test_the_slices_of_a_service_are_summed() -> None:
    page = Page()
    endpoints = EndpointPublisher(page)
    endpoints.on_object(slice_of("a", READY, UNSAID, NOT_READY))
    endpoints.on_object(slice_of("b", READY))
    assert counts(page) == ({WEB: 3.0}, {WEB: 1.0})


def test_an_endpoint_that_is_leaving_is_not_missed() -> None:
    page = Page()
    EndpointPublisher(page).on_object(slice_of("a", READY, LEAVING))
    assert counts(page) == ({WEB: 1.0}, {WEB: 0.0})


def test_a_pod_with_two_addresses_counts_once() -> None:
    page = Page()
    endpoints = EndpointPublisher(page)
    endpoints.on_object(slice_of("a", READY, READY))
    endpoints.on_object(slice_of("b", READY, READY, family="IPv6"))
    assert counts(page)[0] == {WEB: 2.0}


def test_a_slice_that_goes_is_subtracted_and_the_last_takes_the_series_along() -> None:
    page = Page()
    endpoints = EndpointPublisher(page)
    endpoints.on_object(slice_of("a", READY))
    endpoints.on_object(slice_of("b", READY))
    endpoints.on_delete("a")
    assert counts(page)[0] == {WEB: 1.0}
    endpoints.on_delete("b")
    endpoints.on_delete("never known")
    assert counts(page) == ({}, {})


def test_a_relist_forgets_the_slices_that_it_does_not_hold() -> None:
    page = Page()
    endpoints = EndpointPublisher(page)
    for one in (slice_of("a", READY), slice_of("b", READY), slice_of("c", READY, name="api")):
        endpoints.on_object(one)
    endpoints.begin()
    endpoints.on_object(slice_of("b", READY))
    assert counts(page)[0] == {WEB: 2.0, ("shop", "api"): 1.0}
    endpoints.sweep()
    assert counts(page)[0] == {WEB: 1.0}


def test_a_slice_that_changes_its_service_counts_for_the_new_one_alone() -> None:
    page = Page()
    endpoints = EndpointPublisher(page)
    endpoints.on_object(slice_of("a", READY))
    endpoints.on_object(slice_of("a", READY, name="api"))
    assert counts(page)[0] == {("shop", "api"): 1.0}
    endpoints.on_object(slice_of("a", READY, name=""))
    assert counts(page)[0] == {}


def test_only_a_service_with_a_load_balancer_has_addresses() -> None:
    raw = copy.deepcopy(recorded("services")[0])
    metrics = service.LOAD_BALANCER_METRICS
    raw["status"]["loadBalancer"]["ingress"] *= 2  # type: ignore[index]  # JSON
    found = decoded(service.Service, raw)
    assert len(lines(metrics, service.load_balancer_samples(found))) == 3
    raw["spec"]["type"] = "NodePort"  # type: ignore[index]  # JSON
    found = decoded(service.Service, raw)
    assert lines(metrics, service.load_balancer_samples(found)) == []
