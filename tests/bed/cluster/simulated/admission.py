"""What the API server adds to an object on its way in, and what it refuses."""

from tests.bed.cluster.simulated.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    NAMESPACE,
    POD,
    REPLICA_SET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from tests.bed.cluster.simulated.objects import Obj, ensure, name_of, number, part, parts, text
from tests.bed.cluster.simulated.selectors import by_object
from tests.bed.cluster.simulated.status import invalid

WORKLOADS = {DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET}


def admit(kind: Kind, obj: Obj, before: Obj | None = None) -> None:
    """Fill in the defaults that our own calls see, in place. Raises ApiError (422)."""
    spec = ensure(obj, "spec") if kind in {*WORKLOADS, POD, SERVICE, NAMESPACE} else {}
    if kind in WORKLOADS:
        _admit_workload(kind, obj, spec, before)
    elif kind == POD:
        _pod_defaults(kind, obj, spec)
    elif kind == SERVICE:
        address = text(before, "spec", "clusterIP") or None
        _default(spec, type="ClusterIP", sessionAffinity="None", clusterIP=address)
        for port in parts(spec, "ports"):
            _default(port, protocol="TCP", targetPort=port.get("port"))
    elif kind == NAMESPACE:
        _default(ensure(obj, "status"), phase="Active")
    elif kind == EVENT:
        _default(obj, type="Normal", count=1)


def _default(obj: Obj, **values: object) -> None:
    for key, value in values.items():
        if obj.get(key) is None:
            obj[key] = value


def _admit_workload(kind: Kind, obj: Obj, spec: Obj, before: Obj | None) -> None:
    name = name_of(obj)
    if kind != DAEMON_SET:
        _default(spec, replicas=1)
        if number(spec, "replicas") < 0:
            why = f"Invalid value: {spec['replicas']}: must be greater than or equal to 0"
            raise invalid(kind, name, "spec.replicas", why)
    if not by_object(part(spec, "selector"))(ensure(spec, "template")):
        why = "Invalid value: `selector` does not match template `labels`"
        raise invalid(kind, name, "spec.template.metadata.labels", why)
    if before is not None and part(before, "spec", "selector") != part(spec, "selector"):
        raise invalid(kind, name, "spec.selector", "Invalid value: field is immutable")
    if kind == DEPLOYMENT:
        _default(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        strategy = ensure(spec, "strategy")
        _default(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            _default(ensure(strategy, "rollingUpdate"), maxSurge="25%", maxUnavailable="25%")
    _pod_defaults(kind, obj, ensure(spec, "template", "spec"))


def _pod_defaults(kind: Kind, obj: Obj, spec: Obj) -> None:
    if not parts(spec, "containers"):
        raise invalid(kind, name_of(obj), "spec.containers", "Required value")
    _default(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for container in parts(spec, "containers"):
        if not container.get("image"):
            raise invalid(kind, name_of(obj), "spec.containers[].image", "Required value")
        _default(
            container,
            imagePullPolicy="IfNotPresent",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for port in parts(container, "ports"):
            _default(port, protocol="TCP")
        for probe in ("readinessProbe", "livenessProbe"):
            if probe in container:
                _probe_defaults(ensure(container, probe))


def _probe_defaults(probe: Obj) -> None:
    _default(probe, periodSeconds=10, timeoutSeconds=1, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _default(ensure(probe, "httpGet"), path="/", scheme="HTTP")
