"""The kinds that the simulated cluster serves, and how clients discover them."""

from dataclasses import dataclass

from tests.bed.cluster.simulated.objects import Obj

VERSION = "v1.37.2"


@dataclass(frozen=True, slots=True)
class Kind:
    """One served kind."""

    name: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    counts_generations: bool = False
    has_status: bool = False
    scalable: bool = False
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """Where its paths begin."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    @property
    def qualified(self) -> str:
        """The resource as error messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _workload(name: str, plural: str, short: str, *, scalable: bool = True) -> Kind:
    return Kind(
        name,
        plural,
        "apps",
        counts_generations=True,
        has_status=True,
        scalable=scalable,
        short=(short,),
    )


NAMESPACE = Kind("Namespace", "namespaces", namespaced=False, has_status=True, short=("ns",))
NODE = Kind("Node", "nodes", namespaced=False, has_status=True, short=("no",))
POD = Kind("Pod", "pods", counts_generations=True, has_status=True, short=("po",))
SERVICE = Kind("Service", "services", has_status=True, short=("svc",))
CONFIG_MAP = Kind("ConfigMap", "configmaps", short=("cm",))
SECRET = Kind("Secret", "secrets")
EVENT = Kind("Event", "events", short=("ev",))
SERVICE_ACCOUNT = Kind("ServiceAccount", "serviceaccounts", short=("sa",))
CLAIM = Kind("PersistentVolumeClaim", "persistentvolumeclaims", has_status=True, short=("pvc",))
DEPLOYMENT = _workload("Deployment", "deployments", "deploy")
REPLICA_SET = _workload("ReplicaSet", "replicasets", "rs")
STATEFUL_SET = _workload("StatefulSet", "statefulsets", "sts")
DAEMON_SET = _workload("DaemonSet", "daemonsets", "ds", scalable=False)
# Kept, and obeyed by nobody: what these do, only a real cluster can show.
JOB = Kind("Job", "jobs", "batch", counts_generations=True, has_status=True)
CRON_JOB = Kind("CronJob", "cronjobs", "batch", counts_generations=True, has_status=True)
AUTOSCALER = Kind(
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    "autoscaling",
    "v2",
    has_status=True,
    short=("hpa",),
)
BUDGET = Kind(
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    "policy",
    counts_generations=True,
    has_status=True,
    short=("pdb",),
)
ENDPOINT_SLICE = Kind(
    "EndpointSlice", "endpointslices", "discovery.k8s.io", counts_generations=True
)

KINDS = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    CONFIG_MAP,
    SECRET,
    EVENT,
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    CLAIM,
    JOB,
    CRON_JOB,
    AUTOSCALER,
    BUDGET,
    ENDPOINT_SLICE,
)
BY_PATH = {(kind.prefix, kind.plural): kind for kind in KINDS}

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def _resources(prefix: str) -> list[Obj]:
    found: list[Obj] = []
    for kind in KINDS:
        if kind.prefix != prefix:
            continue
        common: Obj = {"namespaced": kind.namespaced, "singularName": ""}
        found.append(
            common
            | {"name": kind.plural, "kind": kind.name, "singularName": kind.name.lower()}
            | {"verbs": _VERBS, "shortNames": list(kind.short)}
        )
        if kind.has_status:
            found.append(
                common
                | {"name": f"{kind.plural}/status", "kind": kind.name}
                | {"verbs": ["get", "patch", "update"]}
            )
        if kind.scalable:
            found.append(
                common
                | {"name": f"{kind.plural}/scale", "group": "autoscaling", "version": "v1"}
                | {"kind": "Scale", "verbs": ["get", "patch", "update"]}
            )
    return found


def _resource_list(prefix: str, version: str) -> Obj:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": _resources(prefix),
    }


def _group(kind: Kind) -> Obj:
    version = {"groupVersion": kind.api_version, "version": kind.version}
    return {"name": kind.group, "versions": [version], "preferredVersion": version}


def discovery() -> dict[str, Obj]:
    """Return the discovery documents by path."""
    groups = [_group(kind) for kind in {kind.group: kind for kind in KINDS if kind.group}.values()]
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    return {
        "/version": {"major": major, "minor": minor, "gitVersion": VERSION},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        **{
            f"/apis/{group['name']}": group | {"kind": "APIGroup", "apiVersion": "v1"}
            for group in groups
        },
        **{kind.prefix: _resource_list(kind.prefix, kind.api_version) for kind in KINDS},
    }
