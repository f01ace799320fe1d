"""What would be done, said before anything is done; and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from responder.domain import documents
from responder.domain.values import Json, JsonObject, Target


@dataclass(frozen=True, slots=True)
class Blast:
    """How much a plan touches."""

    pods: int
    """Pods that are replaced or removed."""
    of: int
    """Pods that the target has."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A pure reading of what an action would do now. Frozen as JSON before it is applied."""

    action: str
    target: Target
    summary: str
    """One line for people: `roll default/task-manager back from v4-errors to v3 (revision 1)`."""
    blast: Blast
    reversible: bool
    effect: JsonObject = field(default_factory=dict)
    """What `apply` needs, in the action's own terms (uids, hashes, wanted numbers)."""
    precondition: JsonObject = field(default_factory=dict)
    """`uid` and `generation` of the object that was read."""
    refusal: str = ""
    """Why the action itself will not (paused, no earlier revision, already there); else empty."""


def plan_to_json(plan: Plan) -> JsonObject:
    """Freeze a plan as JSON with `schema: 1`; `plan_from_json` reads it back equal."""
    return {
        "schema": 1,
        "action": plan.action,
        "target": {
            "kind": plan.target.kind,
            "namespace": plan.target.namespace,
            "name": plan.target.name,
        },
        "summary": plan.summary,
        "blast": {"pods": plan.blast.pods, "of": plan.blast.of},
        "reversible": plan.reversible,
        "effect": plan.effect,
        "precondition": plan.precondition,
        "refusal": plan.refusal,
    }


def plan_from_json(document: Mapping[str, Json]) -> Plan:
    """Read a frozen plan. Raises ValueError for a schema that no reader knows."""
    if document.get("schema") != 1:
        raise ValueError(f"no reader for a frozen plan of schema {document.get('schema')!r}")
    target = documents.mapping(document, "target")
    blast = documents.mapping(document, "blast")
    return Plan(
        action=documents.text(document, "action"),
        target=Target(
            kind=documents.text(target, "kind"),
            namespace=documents.text(target, "namespace"),
            name=documents.text(target, "name"),
        ),
        summary=documents.text(document, "summary"),
        blast=Blast(documents.count(blast, "pods"), documents.count(blast, "of")),
        reversible=documents.flag(document, "reversible"),
        effect=documents.mapping(document, "effect"),
        precondition=documents.mapping(document, "precondition"),
        refusal=documents.text(document, "refusal"),
    )


class Probe(StrEnum):
    """Whether an earlier try of the same key landed on the target."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class SettledState(StrEnum):
    """Whether what landed is done."""

    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Settled:
    """The state of an applied plan, with its reason in words and the figures behind it."""

    state: SettledState
    detail: str
    facts: JsonObject = field(default_factory=dict)


class Outcome(StrEnum):
    """How one step of a run ended."""

    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"
    HELD = "held"
    """Held past its deadline."""
    FAILED = "failed"
    CANNOT_TELL = "cannot_tell"
    UNKNOWN = "unknown"
    """After a crash nobody can say whether the effect landed; never repeated."""


class RunResult(StrEnum):
    """How a run ended."""

    CURED = "cured"
    """A verification held (or there was none and every step is done: see COMPLETED)."""
    COMPLETED = "completed"
    """Every step is done and none of them verifies."""
    EXHAUSTED = "exhausted"
    """The last verification failed and no step is left."""
    OBSERVED = "observed"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"
    CANNOT_TELL = "cannot_tell"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    """The alert resolved or a person resolved the incident before an effect was made."""
