"""The ReplicaSet controller: as many pods as wanted, and what is known of them."""

from secrets import choice

from tests.bed.cluster.simulated.deletion import delete
from tests.bed.cluster.simulated.kinds import POD, REPLICA_SET
from tests.bed.cluster.simulated.objects import (
    Obj,
    condition,
    controller_of,
    ensure,
    has_ended,
    is_deleting,
    is_ready,
    name_of,
    namespace_of,
    number,
    part,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.store import Store

SOURCE = "replicaset-controller"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' own for random names: no vowels, no digits that look like letters."""


def owner_reference(owner: Obj) -> Obj:
    """Return the ownerReference of a controller."""
    return {
        "apiVersion": text(owner, "apiVersion"),
        "kind": text(owner, "kind"),
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pods_of(store: Store, replica_set: Obj) -> list[Obj]:
    """Return the pods that it controls and that are not on their way out."""
    return [
        pod
        for pod in store.every(POD, namespace_of(replica_set))
        if controller_of(pod) == uid_of(replica_set) and not is_deleting(pod) and not has_ended(pod)
    ]


def sync(store: Store, recorder: Recorder, replica_set: Obj) -> None:
    """Create or delete pods until their number is the wanted one, and write the status."""
    pods = pods_of(store, replica_set)
    wanted = number(replica_set, "spec", "replicas")
    for _ in range(wanted - len(pods)):
        pod = store.create(POD, _new_pod(replica_set))
        recorder.normal(SOURCE, replica_set, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
    pods.sort(key=_worth)
    for pod in pods[: max(0, len(pods) - wanted)]:
        delete(store, POD, namespace_of(pod), name_of(pod))
        recorder.normal(SOURCE, replica_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
    store.change(
        REPLICA_SET,
        namespace_of(replica_set),
        name_of(replica_set),
        lambda obj: _write_status(store, obj),
    )


def _worth(pod: Obj) -> tuple[bool, bool, str]:
    """Order pods by how little is lost with them: not running, not ready, the youngest ready."""
    since = text(condition(pod, "Ready"), "lastTransitionTime")
    age = "".join(chr(0x7F - ord(digit)) for digit in since)  # a later moment sorts first
    return text(pod, "status", "phase") == "Running", is_ready(pod), age


def _new_pod(replica_set: Obj) -> Obj:
    template = part(replica_set, "spec", "template")
    suffix = "".join(choice(ALPHABET) for _ in range(5))
    metadata = {
        **part(template, "metadata"),
        "name": f"{name_of(replica_set)}-{suffix}",
        "generateName": f"{name_of(replica_set)}-",
        "namespace": namespace_of(replica_set),
        "ownerReferences": [owner_reference(replica_set)],
    }
    return {
        "metadata": metadata,
        "spec": part(template, "spec"),
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def _write_status(store: Store, replica_set: Obj) -> None:
    pods = pods_of(store, replica_set)
    ready = [pod for pod in pods if is_ready(pod)]
    counts = {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": len(ready),
    }
    status: Obj = {key: count for key, count in counts.items() if count or key == "replicas"}
    status["observedGeneration"] = number(replica_set, "metadata", "generation")
    ensure(replica_set)["status"] = status
