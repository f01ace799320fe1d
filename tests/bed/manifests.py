"""The operations guide's application as Kubernetes objects."""

from collections.abc import Mapping

NAMESPACE = "default"
NAME = "task-manager"
LABELS = {"app": NAME}
FRONTEND = "task-manager-frontend"
PRETENDED = "pretended"
PORT = 8000
KWOK = "kwok.x-k8s.io/node"
READY = {
    "httpGet": {"path": "/health", "port": PORT},
    "periodSeconds": 1,
    "failureThreshold": 3,
}


def service() -> dict[str, object]:
    """Return the Service `task-manager`."""
    return _service(NAME)


def _service(name: str) -> dict[str, object]:
    labels = {"app": name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
    }


def deployment(
    tag: str,
    *,
    replicas: int,
    env: Mapping[str, str],
    resources: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the Deployment `task-manager`, running image `task-manager:<tag>`."""
    container = {
        "name": NAME,
        "image": f"{NAME}:{tag}",
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "readinessProbe": READY,
        "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},  # until no Service sends it anything
        "resources": dict(resources or {}),
    }
    return _deployment(NAME, replicas, container)


def frontend(
    tag: str, backend: str, resources: Mapping[str, object] | None = None
) -> list[dict[str, object]]:
    """Return the Service and the Deployment of the page that shows what `backend` knows."""
    container = {
        "name": FRONTEND,
        "image": f"{NAME}:{tag}",
        "imagePullPolicy": "Never",
        "command": ["python3", "-m", "tests.bed.task_manager", "--frontend"],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "BACKEND_URL", "value": backend}],
        "readinessProbe": READY,
        "resources": dict(resources or {}),
    }
    return [_service(FRONTEND), _deployment(FRONTEND, 1, container)]


def _deployment(
    name: str,
    replicas: int,
    container: Mapping[str, object],
    where: Mapping[str, object] | None = None,
) -> dict[str, object]:
    pod = {"containers": [container], **(where or {})}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def autoscaler(name: str, minimum: int) -> dict[str, object]:
    """Return the guide's HorizontalPodAutoscaler: up to ten pods, 70 % of the CPU asked for."""
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": minimum,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def pretended_node(name: str, *, lives: bool = True) -> dict[str, object]:
    """Return a node that kwok plays, or one that once was ready and of which nobody reports.

    Only what tolerates it goes there.
    """
    size = {"cpu": "4", "memory": "16Gi", "pods": "58"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"app": PRETENDED},
            "annotations": {KWOK: "fake"} if lives else {},
        },
        "spec": {"taints": [{"key": PRETENDED, "effect": "NoSchedule"}]},
        "status": {"capacity": size, "allocatable": size, "conditions": [ready]},
    }


def pretended(replicas: int) -> dict[str, object]:
    """Return a Deployment whose pods run on pretended nodes, and nowhere else."""
    where = {
        "nodeSelector": {"app": PRETENDED},
        "tolerations": [{"key": PRETENDED, "operator": "Exists"}],
    }
    container = {"name": PRETENDED, "image": f"{PRETENDED}:v1"}
    return _deployment(PRETENDED, replicas, container, where)


def release(tag: str) -> dict[str, object]:
    """Return what `kubectl set image` changes: the container's image alone."""
    container = {"name": NAME, "image": f"{NAME}:{tag}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
