"""The cluster itself: nodes, the API server and names, pods, Services with a load balancer."""

from collections.abc import Iterator

from exporter.morning.amounts import counted, span
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed, Page, Series

STARTING = 60.0
"""Seconds that a new pod may take before it counts as not healthy: it fetches its image and passes
its first readiness probe."""

HARMLESS = frozenset({"ContainerCreating", "PodInitializing"})
"""Why a container waits that just has not started yet."""


def nodes(seen: Observed) -> Iterator[Finding]:
    """Tell which nodes are not ready or in trouble, and which take no pods."""
    page = seen.page
    found = page.of("kpi_node_ready")
    bad = 0
    for series in found:
        node = series.labels["node"]
        troubles = [
            each.labels["condition"]
            for each in page.of("kpi_node_condition", node=node)
            if each.value
        ]
        told = [*(["is not ready"] if series.value != 1 else []), *troubles]
        if told:
            bad += 1
            step = f"kubectl describe node {node}"
            yield Finding(Mark.BAD, "Nodes", node, ", ".join(told), step)
    if found and not bad:
        yield Finding(Mark.GOOD, "Nodes", f"{len(found)}", "all ready")
    for series in page.of("kpi_node_unschedulable"):
        if series.value:
            yield Finding(Mark.SHOWN, "Nodes", series.labels["node"], "takes no new pods")


def control_plane(seen: Observed) -> Iterator[Finding]:
    """Tell whether the API server says that it is ready, and whether names can be looked up."""
    page = seen.page
    ready = page.value("kpi_apiserver_ready")
    if ready is not None:
        failing = [s.labels["check"] for s in page.of("kpi_apiserver_check_ok") if not s.value]
        why = f" ({', '.join(failing)})" if failing else ""
        if ready == 1:
            yield Finding(Mark.GOOD, "Control plane", "API server", "is ready")
        else:
            text = f"is not ready{why}"
            step = "kubectl get --raw '/readyz?verbose'"
            yield Finding(Mark.BAD, "Control plane", "API server", text, step)
    for series in page.of("kpi_dns_lookup_success"):
        name = series.labels["name"]
        if series.value == 1:
            yield Finding(Mark.GOOD, "Control plane", name, "can be looked up")
        else:
            step = "kubectl get pods -n kube-system -l k8s-app=kube-dns"
            yield Finding(Mark.BAD, "Control plane", name, "cannot be looked up", step)


def pods(seen: Observed) -> Iterator[Finding]:
    """Tell which pods are not healthy and why; one that succeeded is, one not ready is not."""
    phases = seen.page.of("kpi_pod_phase")
    unhealthy = starting = 0
    for series in phases:
        finding = _pod(seen, series)
        if finding is not None:
            unhealthy += finding.mark is Mark.BAD
            starting += finding.mark is Mark.SHOWN
            yield finding
    healthy = len(phases) - unhealthy - starting
    if phases and not unhealthy:
        text = "all healthy" if not starting else "healthy"
        yield Finding(Mark.GOOD, "Pods", f"{healthy}", text)


def _pod(seen: Observed, series: Series) -> Finding | None:
    """Return what is to be said of a pod; None of one that is healthy."""
    page, labels = seen.page, series.labels
    at = (labels["namespace"], labels["pod"])
    phase, name = labels["phase"], "/".join(at)
    ready = any(each.value == 1 for each in page.of_pod("kpi_pod_ready", *at))
    if phase == "Succeeded" or (phase == "Running" and ready):
        return None
    waiting = _reasons(page, "kpi_pod_container_waiting_reason", at)
    restarts = sum(s.value for s in page.of_pod("kpi_pod_container_restarts_total", *at))
    created = page.of_pod("kpi_pod_created_timestamp_seconds", *at)
    age = seen.age(created[0].value) if created else None
    state = f"{phase}, not ready" if phase == "Running" else phase
    is_new = age is not None and age < STARTING and not restarts and phase != "Failed"
    if is_new and set(waiting) <= HARMLESS:
        return Finding(Mark.SHOWN, "Pods", name, f"{state}: was made {span(age or 0.0)} ago")
    ended = _reasons(page, "kpi_pod_container_terminated_reason", at)
    last = _reasons(page, "kpi_pod_container_last_terminated_reason", at)
    why = [*_reasons(page, "kpi_pod_reason", at), *waiting, *ended]
    why += [f"last ended: {each}" for each in last]
    why += [counted(restarts, "restart")] if restarts else []
    text = f"{state} ({', '.join(dict.fromkeys(why))})" if why else state
    crashed = restarts or ended or last
    kubectl = f"-n {labels['namespace']} {labels['pod']}"
    step = f"kubectl logs {kubectl} --previous" if crashed else f"kubectl describe pod {kubectl}"
    return Finding(Mark.BAD, "Pods", name, text, step)


def _reasons(page: Page, metric: str, pod: tuple[str, str]) -> list[str]:
    return sorted({each.labels["reason"] for each in page.of_pod(metric, *pod)})


def services(seen: Observed) -> Iterator[Finding]:
    """Tell the addresses of Services of type LoadBalancer; one that waits for its own is bad."""
    page = seen.page
    found = page.of("kpi_load_balancer_addresses")
    for series in found:
        named = {name: series.labels[name] for name in ("namespace", "service_name")}
        subject = series.named("namespace", "service_name")
        kubectl = f"-n {named['namespace']} {named['service_name']}"
        ready = page.value("kpi_service_endpoints_ready", **named)
        if not series.value:
            step = f"kubectl describe service {kubectl}: does the load balancer controller run?"
            yield Finding(Mark.BAD, "Services", subject, "its load balancer has no address", step)
        elif ready == 0:
            step = f"kubectl get endpointslices -n {named['namespace']}"
            yield Finding(Mark.BAD, "Services", subject, "no pod behind it takes traffic", step)
        else:
            addresses = [s.labels["address"] for s in page.of("kpi_load_balancer_info", **named)]
            yield Finding(Mark.GOOD, "Services", subject, ", ".join(sorted(addresses)))
    if not found and page.works("kubernetes", "services"):
        yield Finding(Mark.SHOWN, "Services", "", "none of type LoadBalancer")
