"""Small values that the whole responder speaks in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from typing_extensions import override

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold; frozen runbooks, plans and facts are stored as this."""

JsonObject: TypeAlias = dict[str, Json]

Labels: TypeAlias = Mapping[str, str]

KINDS: Mapping[str, str] = {
    kind.lower(): kind
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Pod", "Job", "CronJob", "Node")
}
"""Kinds that a target may have: as users write them → as Kubernetes does."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORKFLOW = re.compile(r"incident-(\d+)(?:-run-\d+)?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def valid_name(text: str) -> bool:
    """Say whether an object can be called so (a DNS-1123 subdomain)."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def valid_namespace(text: str) -> bool:
    """Say whether a namespace can be called so (a DNS-1123 label)."""
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """The object that an incident is about, and the only one that its runbook may change."""

    kind: str
    """As Kubernetes writes it: `Deployment`, `StatefulSet`, `Node`, ..."""
    namespace: str
    """Empty for objects of the cluster."""
    name: str

    @override
    def __str__(self) -> str:
        """Return `kind/namespace/name` in lower-case kind, as users write it."""
        return f"{self.kind.lower()}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read `KIND/NAMESPACE/NAME` as users write it (`KIND/NAME` for a cluster's own objects).

        Raises ValueError with what is wrong and, for a kind, the nearest valid one.
        """
        parts = text.split("/")
        if len(parts) == 2:
            parts.insert(1, "")
        if len(parts) != 3:
            raise ValueError(f"{text!r} is not a target; write it as deployment/default/web")
        kind, namespace, name = parts
        if kind.lower() not in KINDS:
            near = get_close_matches(kind.lower(), KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
            raise ValueError(f"{kind!r} is not a kind that runbooks can be about; {hint}")
        if namespace and not valid_namespace(namespace):
            raise ValueError(f"{namespace!r} is not a Kubernetes namespace")
        if not valid_name(name):
            raise ValueError(f"{name!r} is not a Kubernetes name")
        return cls(KINDS[kind.lower()], namespace, name)


def incident_name(incident_id: int) -> str:
    """Return the incident's name as people see it: `INC-42`."""
    return f"INC-{incident_id}"


def workflow_id(incident_id: int) -> str:
    """Return the id of the incident's workflow: `incident-42`."""
    return f"incident-{incident_id}"


def run_workflow_id(incident_id: int, run: int) -> str:
    """Return the id of the workflow of the incident's n-th run: `incident-42-run-1`."""
    return f"incident-{incident_id}-run-{run}"


def incident_of_workflow(workflow: str) -> int | None:
    """Return the incident that a workflow's id names, its own or that of a run; None: no such."""
    found = _WORKFLOW.fullmatch(workflow)
    return int(found[1]) if found else None


def action_key(incident_id: int, step: int, attempt: int) -> str:
    """Return the key that reaches the target: `incident-42:<step>:<attempt>`.

    `step` counts over all runs of the incident, so a key names one effect for ever.
    """
    return f"incident-{incident_id}:{step}:{attempt}"
