"""The Deployment controller: one ReplicaSet per template, history, and rolling updates.

Follows k8s.io/kubernetes/pkg/controller/deployment step by step; left out: minReadySeconds,
adoption of orphans, proportional scaling in the middle of a rollout.
"""

import json
import math
from collections.abc import Callable
from hashlib import sha256

from tests.bed.cluster.simulated.conditions import conditions, counts, deadline, is_complete
from tests.bed.cluster.simulated.deletion import delete
from tests.bed.cluster.simulated.kinds import DEPLOYMENT, POD, REPLICA_SET
from tests.bed.cluster.simulated.objects import (
    Obj,
    controller_of,
    ensure,
    flag,
    has_ended,
    name_of,
    namespace_of,
    number,
    part,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.replicasets import ALPHABET, owner_reference
from tests.bed.cluster.simulated.store import Store

SOURCE = "deployment-controller"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
NOT_COPIED = ("deployment.kubernetes.io/", "kubectl.kubernetes.io/last-applied-configuration")


def percent_or_number(value: object, replicas: int, *, up: bool) -> int:
    """Resolve an IntOrString against the replicas."""
    if isinstance(value, str):
        share = int(value.removesuffix("%")) * replicas / 100
        return math.ceil(share) if up else math.floor(share)
    return value if isinstance(value, int) else 0


def revision_of(obj: Obj | None) -> int:
    """Return the revision a ReplicaSet or Deployment carries, 0 when none."""
    return int(text(obj, "metadata", "annotations", REVISION) or 0)


class Rollout:
    """One look at one Deployment, and the next step it takes."""

    def __init__(self, store: Store, recorder: Recorder, deployment: Obj) -> None:
        self._store = store
        self._recorder = recorder
        self._deployment = deployment
        self._replicas = number(deployment, "spec", "replicas")
        rolling = part(deployment, "spec", "strategy", "rollingUpdate")
        surge = percent_or_number(rolling.get("maxSurge"), self._replicas, up=True)
        spare = percent_or_number(rolling.get("maxUnavailable"), self._replicas, up=False)
        if surge == 0 and spare == 0:
            spare = 1
        self._most = self._replicas + surge
        self._floor = max(0, self._replicas - spare)
        self._wanted_hash = template_hash(part(deployment, "spec", "template"))

    def sync(self) -> None:
        """Take the next step and write the status; further steps follow the changes this makes."""
        if flag(self._deployment, "spec", "paused"):
            self._scale_while_paused()
        elif text(self._deployment, "spec", "strategy", "type") == "Recreate":
            self._recreate()
        else:
            new = self._current()
            if not self._grow(new):
                self._shrink_old(new)
        self._write_status()

    def deadline_seconds(self) -> float | None:
        """Return in how many seconds the rollout has to be looked at again at the latest."""
        found = deadline(self._deployment)
        if found is None:
            return None
        return max(0.0, (found - self._store.clock.now()).total_seconds()) + 1.0

    def _owned(self) -> list[Obj]:
        """Return its ReplicaSets, the oldest revision first."""
        owned = [
            replica_set
            for replica_set in self._store.every(REPLICA_SET, namespace_of(self._deployment))
            if controller_of(replica_set) == uid_of(self._deployment)
        ]
        return sorted(owned, key=revision_of)

    def _new(self) -> Obj | None:
        return next((rs for rs in self._owned() if hash_of(rs) == self._wanted_hash), None)

    def _old(self) -> list[Obj]:
        return [rs for rs in self._owned() if hash_of(rs) != self._wanted_hash]

    def _current(self) -> Obj:
        """Return the ReplicaSet of the wanted template, made or raised to the newest revision."""
        new = self._new()
        newest = max([revision_of(rs) for rs in self._old()], default=0) + 1
        if new is None:
            new = self._store.create(REPLICA_SET, self._replica_set(newest))
            self._say_scaled(new, "up", 0, number(new, "spec", "replicas"))
        else:
            new = self._store.change(
                REPLICA_SET,
                namespace_of(new),
                name_of(new),
                lambda obj: self._annotate(obj, max(newest, revision_of(obj))),
            )
        revision = str(revision_of(new))
        self._deployment = self._change_self(
            lambda obj: ensure(obj, "metadata", "annotations").update({REVISION: revision})
        )
        return new

    def _annotate(self, replica_set: Obj, revision: int) -> None:
        annotations = ensure(replica_set, "metadata", "annotations")
        for key, value in part(self._deployment, "metadata", "annotations").items():
            if not key.startswith(NOT_COPIED):
                annotations[key] = value
        before = str(annotations.get(REVISION) or "")
        if before and int(before) < revision:
            annotations[HISTORY] = ",".join(
                filter(None, [str(annotations.get(HISTORY) or ""), before])
            )
        annotations[REVISION] = str(revision)
        annotations["deployment.kubernetes.io/desired-replicas"] = str(self._replicas)
        annotations["deployment.kubernetes.io/max-replicas"] = str(self._most)

    def _replica_set(self, revision: int) -> Obj:
        spec = part(self._deployment, "spec")
        template = json.loads(json.dumps(spec["template"]))
        ensure(template, "metadata", "labels")[HASH] = self._wanted_hash
        found: Obj = {
            "metadata": {
                "name": f"{name_of(self._deployment)}-{self._wanted_hash}",
                "namespace": namespace_of(self._deployment),
                "labels": dict(part(template, "metadata", "labels")),
                "ownerReferences": [owner_reference(self._deployment)],
            },
            "spec": {
                "replicas": self._room(0),
                "selector": {
                    **part(spec, "selector"),
                    "matchLabels": {
                        **part(spec, "selector", "matchLabels"),
                        HASH: self._wanted_hash,
                    },
                },
                "template": template,
            },
            "status": {"replicas": 0},
        }
        self._annotate(found, revision)
        return found

    def _room(self, have: int) -> int:
        """Return how many replicas the new ReplicaSet, which has `have`, may have now."""
        if text(self._deployment, "spec", "strategy", "type") == "Recreate":
            return self._replicas
        total = have + sum(number(rs, "spec", "replicas") for rs in self._old())
        if total >= self._most:
            return have
        return have + min(self._most - total, self._replicas - have)

    def _grow(self, new: Obj) -> bool:
        have = number(new, "spec", "replicas")
        wanted = self._replicas if have > self._replicas else self._room(have)
        return self._scale(new, wanted)

    def _shrink_old(self, new: Obj) -> None:
        old = sorted(self._old(), key=lambda rs: text(rs, "metadata", "creationTimestamp"))
        total = sum(number(rs, "spec", "replicas") for rs in [*old, new])
        unavailable = number(new, "spec", "replicas") - number(new, "status", "availableReplicas")
        room = total - self._floor - unavailable
        for replica_set in old:  # those that do not serve go first
            have = number(replica_set, "spec", "replicas")
            broken = have - number(replica_set, "status", "availableReplicas")
            gone = min(room, max(0, broken))
            if gone > 0:
                self._scale(replica_set, have - gone)
                room -= gone
        available = sum(number(rs, "status", "availableReplicas") for rs in [*old, new])
        room = available - self._floor
        for replica_set in self._old():
            have = number(replica_set, "spec", "replicas")
            gone = min(room, have)
            if gone > 0:
                self._scale(replica_set, have - gone)
                room -= gone

    def _recreate(self) -> None:
        for replica_set in self._old():
            self._scale(replica_set, 0)
        old = {uid_of(replica_set) for replica_set in self._old()}
        pods = self._store.every(POD, namespace_of(self._deployment))
        if not any(controller_of(pod) in old and not has_ended(pod) for pod in pods):
            self._scale(self._current(), self._replicas)

    def _scale_while_paused(self) -> None:
        active = [rs for rs in self._owned() if number(rs, "spec", "replicas")]
        if len(active) == 1 or (not active and self._owned()):
            self._scale((active or self._owned())[-1], self._replicas)

    def _scale(self, replica_set: Obj, wanted: int) -> bool:
        have = number(replica_set, "spec", "replicas")
        if wanted == have:
            return False
        self._store.change(
            REPLICA_SET,
            namespace_of(replica_set),
            name_of(replica_set),
            lambda obj: ensure(obj, "spec").update(replicas=wanted),
        )
        self._say_scaled(replica_set, "up" if wanted > have else "down", have, wanted)
        return True

    def _say_scaled(self, replica_set: Obj, way: str, before: int, after: int) -> None:
        message = f"Scaled {way} replica set {name_of(replica_set)} from {before} to {after}"
        self._recorder.normal(SOURCE, self._deployment, "ScalingReplicaSet", message)

    def _write_status(self) -> None:
        new, every = self._new(), self._owned()
        now = self._store.clock.now()

        def edit(obj: Obj) -> None:
            status = counts(obj, new, every)
            status["conditions"] = list(conditions(obj, new, status, self._floor, now).values())
            obj["status"] = status

        self._deployment = self._change_self(edit)
        if is_complete(self._deployment, part(self._deployment, "status")):
            self._forget_history()

    def _forget_history(self) -> None:
        idle = [rs for rs in self._old() if not number(rs, "status", "replicas")]
        kept = number(self._deployment, "spec", "revisionHistoryLimit", default=10)
        for replica_set in idle[: max(0, len(idle) - kept)]:
            delete(self._store, REPLICA_SET, namespace_of(replica_set), name_of(replica_set))

    def _change_self(self, edit: Callable[[Obj], None]) -> Obj:
        namespace, name = namespace_of(self._deployment), name_of(self._deployment)
        return self._store.change(DEPLOYMENT, namespace, name, edit)


def hash_of(replica_set: Obj) -> str:
    """Return the hash of a ReplicaSet's template."""
    return text(replica_set, "metadata", "labels", HASH)


def template_hash(template: Obj) -> str:
    """Return ten characters that stand for a pod template, whatever the order of its keys."""
    digest = sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:10])
