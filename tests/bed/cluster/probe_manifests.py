"""The probe application as Kubernetes objects."""

from collections.abc import Mapping

NAME = "probe"
PORT = 8000
LABELS = {"app": NAME}


def container(tag: str, env: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return its container; ready as soon as `/health` answers."""
    return {
        "name": NAME,
        "image": f"probe-app:{tag}",
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    }


def deployment(
    namespace: str, tag: str = "v1", replicas: int = 1, **spec: object
) -> dict[str, object]:
    """Return the Deployment; `spec` is added to its spec."""
    pod = {"containers": [container(tag)], "terminationGracePeriodSeconds": 2}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace, "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
            **spec,
        },
    }


def release(namespace: str, tag: str) -> dict[str, object]:
    """Return the change of the image alone."""
    template = {"spec": {"containers": [{"name": NAME, "image": f"probe-app:{tag}"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"template": template},
    }


def service(namespace: str) -> dict[str, object]:
    """Return the Service in front of the pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"selector": LABELS, "ports": [{"port": PORT, "targetPort": "http"}]},
    }


def config_map(namespace: str, name: str, **data: str) -> dict[str, object]:
    """Return a ConfigMap, the plainest of objects."""
    metadata = {"name": name, "namespace": namespace, "labels": {"name": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
