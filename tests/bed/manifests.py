"""The operations guide's application as Kubernetes objects."""

from collections.abc import Mapping

NAMESPACE = "default"
NAME = "task-manager"
LABELS = {"app": NAME}
PORT = 8000


def service() -> dict[str, object]:
    """Return the Service `task-manager`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {"selector": LABELS, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
    }


def deployment(tag: str, *, replicas: int, env: Mapping[str, str]) -> dict[str, object]:
    """Return the Deployment `task-manager`, running image `task-manager:<tag>`."""
    container = {
        "name": NAME,
        "image": f"{NAME}:{tag}",
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": PORT},
            "periodSeconds": 1,
            "failureThreshold": 3,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}},
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
