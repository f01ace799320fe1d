"""The environment variables of a container."""

from base64 import b64decode

from tests.bed.cluster.simulated.kinds import CONFIG_MAP, SECRET
from tests.bed.cluster.simulated.objects import (
    Obj,
    labels,
    name_of,
    namespace_of,
    number,
    part,
    parts,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.store import Store


def environment(store: Store, pod: Obj, container: Obj, address: str) -> dict[str, str]:
    """Return what the container's process gets on top of its owner's own environment.

    A pod here has its own address instead of its own network, so it is told which to bind:
    POD_IP, and PORT, its first containerPort. Raises LookupError, in Kubernetes' words, for a
    reference to a key that does not exist.
    """
    ports = [number(port, "containerPort") for port in parts(container, "ports")]
    found = {
        "POD_IP": address,
        "HOSTNAME": name_of(pod),
        "PYTHONUNBUFFERED": "1",
    }
    if ports:
        found["PORT"] = str(ports[0])
    for variable in parts(container, "env"):
        source = part(variable, "valueFrom")
        if not source:
            found[text(variable, "name")] = str(variable.get("value") or "")
        elif (value := _referenced(store, pod, source, address)) is not None:
            found[text(variable, "name")] = value
    return found


def _referenced(store: Store, pod: Obj, source: Obj, address: str) -> str | None:
    if "fieldRef" in source:
        return _field(pod, text(source, "fieldRef", "fieldPath"), address)
    kind, reference = SECRET, part(source, "secretKeyRef")
    if not reference:
        kind, reference = CONFIG_MAP, part(source, "configMapKeyRef")
    name, key = text(reference, "name"), text(reference, "key")
    holder = store.find(kind, namespace_of(pod), name)
    value = part(holder, "data").get(key)
    if value is None:
        if reference.get("optional") is True:
            return None
        if holder is None:
            raise LookupError(f'{kind.name.lower()} "{name}" not found')
        raise LookupError(f"couldn't find key {key} in {kind.name} {namespace_of(pod)}/{name}")
    return b64decode(str(value)).decode() if kind == SECRET else str(value)


def _field(pod: Obj, path: str, address: str) -> str:
    known = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "status.podIP": address,
        "status.hostIP": "127.0.0.1",
        "spec.nodeName": text(pod, "spec", "nodeName"),
        **{f"metadata.labels['{key}']": value for key, value in labels(pod).items()},
    }
    return known.get(path, "")
