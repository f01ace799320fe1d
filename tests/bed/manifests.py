"""The operations guide's application as Kubernetes objects."""

from collections.abc import Mapping

NAMESPACE = "default"
NAME = "task-manager"
LABELS = {"app": NAME}
FRONTEND = "task-manager-frontend"
PORT = 8000
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
        "resources": dict(resources or {}),
    }
    return _deployment(NAME, replicas, container)


def frontend(tag: str, backend: str) -> list[dict[str, object]]:
    """Return the Service and the Deployment of the page that shows what `backend` knows."""
    container = {
        "name": FRONTEND,
        "image": f"{NAME}:{tag}",
        "imagePullPolicy": "Never",
        "command": ["python3", "-m", "tests.bed.task_manager", "--frontend"],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "BACKEND_URL", "value": backend}],
        "readinessProbe": READY,
    }
    return [_service(FRONTEND), _deployment(FRONTEND, 1, container)]


def _deployment(name: str, replicas: int, container: Mapping[str, object]) -> dict[str, object]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def release(tag: str) -> dict[str, object]:
    """Return what `kubectl set image` changes: the container's image alone."""
    container = {"name": NAME, "image": f"{NAME}:{tag}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
