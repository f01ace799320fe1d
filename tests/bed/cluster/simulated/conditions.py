"""The status of a Deployment: counts, and the conditions Available and Progressing."""

from datetime import datetime, timedelta

from tests.bed.cluster.simulated.objects import Obj, condition, name_of, number, part, stamp

AVAILABLE, PROGRESSING = "Available", "Progressing"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"


def counts(deployment: Obj, new: Obj | None, every: list[Obj]) -> Obj:
    """Return the counts of a Deployment's status; zeros are left out, as by the API."""

    def total(field: str) -> int:
        return sum(number(replica_set, "status", field) for replica_set in every)

    available = total("availableReplicas")
    missing = max(0, number(deployment, "spec", "replicas") - available)
    found = {
        "replicas": total("replicas"),
        "updatedReplicas": number(new, "status", "replicas"),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": missing,
    }
    status: Obj = {field: count for field, count in found.items() if count}
    status["observedGeneration"] = number(deployment, "metadata", "generation")
    return status


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Tell whether all wanted pods are of the newest template and available, and no others left."""
    wanted = number(deployment, "spec", "replicas")
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all(number(status, field) == wanted for field in fields)


def deadline(deployment: Obj) -> datetime | None:
    """Return when the rollout is given up unless it progresses; None when none is under way."""
    current = condition(deployment, PROGRESSING)
    if not current or current["reason"] in {NEW_AVAILABLE, TIMED_OUT, "DeploymentPaused"}:
        return None
    updated = datetime.fromisoformat(str(current["lastUpdateTime"]))
    return updated + timedelta(seconds=number(deployment, "spec", "progressDeadlineSeconds"))


def conditions(deployment: Obj, new: Obj | None, status: Obj, floor: int, now: datetime) -> Obj:
    """Return the conditions by type; `floor` is how many pods have to be available."""
    enough = number(status, "availableReplicas") >= floor
    available: Obj = {
        "type": AVAILABLE,
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }
    found: Obj = {AVAILABLE: _timed(deployment, available, now)}
    if progressing := _progressing(deployment, new, status, now):
        found[PROGRESSING] = progressing
    return found


def _progressing(deployment: Obj, new: Obj | None, status: Obj, now: datetime) -> Obj:
    current = condition(deployment, PROGRESSING)
    name = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    given_up = deadline(deployment)
    same = number(status, "replicas") == number(status, "updatedReplicas")
    if part(deployment, "spec").get("paused") is True:
        verdict = "Unknown", "DeploymentPaused", "Deployment is paused"
    elif current.get("reason") == NEW_AVAILABLE and same:
        return current  # a pod that fails later is no news of the rollout
    elif is_complete(deployment, status):
        verdict = "True", NEW_AVAILABLE, f"{name} has successfully progressed."
    elif _moved(part(deployment, "status"), status) or current.get("reason") in {
        None,
        "DeploymentPaused",
    }:
        verdict = "True", "ReplicaSetUpdated", f"{name} is progressing."
        current = {}  # each step forward begins the deadline anew
    elif given_up is not None and now > given_up:
        verdict = "False", TIMED_OUT, f"{name} has timed out progressing."
    else:
        return current
    keys = ("status", "reason", "message")
    wanted: Obj = {"type": PROGRESSING, **dict(zip(keys, verdict, strict=True))}
    timed = _timed(deployment, wanted, now)
    return timed if current else timed | {"lastUpdateTime": stamp(now)}


def _moved(before: Obj, after: Obj) -> bool:
    def old_ones(status: Obj) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_ones(after) < old_ones(before) or any(
        number(after, field) > number(before, field) for field in grown
    )


def _timed(deployment: Obj, wanted: Obj, now: datetime) -> Obj:
    """Add the times of the present condition, or of now where it says something new."""
    current = condition(deployment, str(wanted["type"]))
    same_status = current.get("status") == wanted["status"]
    same = same_status and current.get("reason") == wanted["reason"]
    return wanted | {
        "lastTransitionTime": current["lastTransitionTime"] if same_status else stamp(now),
        "lastUpdateTime": current["lastUpdateTime"] if same else stamp(now),
    }
