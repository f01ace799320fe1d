"""Small values that the whole responder speaks in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import override

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold; frozen runbooks, plans and facts are stored as this."""

JsonObject: TypeAlias = dict[str, Json]

Labels: TypeAlias = Mapping[str, str]


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


def incident_name(incident_id: int) -> str:
    """Return the incident's name as people see it: `INC-42`."""
    return f"INC-{incident_id}"


def workflow_id(incident_id: int) -> str:
    """Return the id of the incident's workflow: `incident-42`."""
    return f"incident-{incident_id}"


def run_workflow_id(incident_id: int, run: int) -> str:
    """Return the id of the workflow of the incident's n-th run: `incident-42-run-1`."""
    return f"incident-{incident_id}-run-{run}"


def action_key(incident_id: int, step: int, attempt: int) -> str:
    """Return the key that reaches the target: `incident-42:<step>:<attempt>`.

    `step` counts over all runs of the incident, so a key names one effect for ever.
    """
    return f"incident-{incident_id}:{step}:{attempt}"
