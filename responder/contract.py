"""What an action and a notifier are, and the ports through which they reach the world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from exporter.shared.config import Section
from exporter.shared.kube import KubeReader
from responder.domain.plan import Plan, Probe, Settled
from responder.domain.reconciliation import Asked
from responder.domain.values import JsonObject, Labels, Target

ParamsT = TypeVar("ParamsT", bound=Section)
SettingsT = TypeVar("SettingsT", bound=Section)
ParamsT_contra = TypeVar("ParamsT_contra", bound=Section, contravariant=True)
SettingsT_contra = TypeVar("SettingsT_contra", bound=Section, contravariant=True)


class KubeWriter(Protocol):
    """Writes to the API server. All raise TransientError, ConflictError or PermanentError."""

    async def merge_patch(self, target: Target, patch: JsonObject) -> None:
        """Apply a JSON merge patch; `metadata.resourceVersion` in it makes it conditional."""
        ...

    async def json_patch(self, target: Target, operations: Sequence[JsonObject]) -> None:
        """Apply a JSON patch; replacing /metadata/resourceVersion makes it conditional."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an instant query's answer."""

    labels: Labels
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Track:
    """One series of a range query's answer."""

    labels: Labels
    points: Sequence[tuple[datetime, float]]
    """By time; where there was no sample there is no point."""


class MetricsQuery(Protocol):
    """Prometheus' query API. Raises TransientError (away, 5xx) or PermanentError (bad query)."""

    async def instant(self, promql: str, *, at: datetime | None = None) -> Sequence[Series]:
        """Evaluate an instant query."""
        ...

    async def over(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> Sequence[Track]:
        """Evaluate a range query, both ends included."""
        ...


class AlertmanagerQuery(Protocol):
    """The API of every Alertmanager that delivers here."""

    @property
    def urls(self) -> Sequence[str]:
        """Addresses of those that are asked; none at all: nobody is."""
        ...

    async def ask(self, *, by_group: bool = False) -> Asked:
        """Ask each once, at the same time; `by_group`, what each group holds and not each server.

        Raises nothing: failures are part of what came of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """One client's session with a PostgreSQL server."""

    pid: int
    user: str
    application: str
    client: str
    """Address, or empty for a Unix socket."""
    state: str
    """`active`, `idle`, `idle in transaction`, ..."""
    seconds: float | None
    """How long it has been in that state; None when the server does not say."""
    wait: str
    """`Type/event` that it waits for, or empty."""
    query: str
    """Start of its last statement."""


class Databases(Protocol):
    """PostgreSQL servers that evidence is read from. Raises TransientError or PermanentError."""

    @property
    def names(self) -> Sequence[str]:
        """The configured databases."""
        ...

    async def activity(self, name: str) -> Sequence[Session]:
        """Return the client sessions, the longest in their state first."""
        ...


@dataclass(frozen=True, slots=True)
class Notification:
    """A message for people; both keys are the same on every retry."""

    key: str
    """Unique for this message: a receiver that saw it may drop a repeat."""
    dedup_key: str
    """`incident-42` for pages of one incident, so that a pager folds them."""
    kind: str
    """`page` (a level is told), `update` (news for levels already told) or `resolve`."""
    level: int
    title: str
    text: str
    severity: str
    incident_id: int
    link: str = ""
    facts: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step may use. Ports only: an action never imports a gateway."""

    key: str
    """The action's key; reaches the target with the effect."""
    incident_id: int
    labels: Labels
    """Labels of the alert that opened the incident; empty for a person's run."""
    intent_at: datetime
    """When the intent was recorded; the same on every attempt. During `plan`: now."""
    now: datetime
    kube: KubeReader
    writer: KubeWriter
    metrics: MetricsQuery
    databases: Databases
    attach: Callable[[str, str], None]
    """Attach evidence: name, text. Stored with the step; a repeat replaces it."""
    notify: Callable[[Sequence[str], str], None]
    """Queue a message for receivers; stored with the step under its key."""


class Action(Protocol[ParamsT_contra]):
    """One thing a runbook can do. Instances hold no state."""

    async def plan(self, target: Target, params: ParamsT_contra, ctx: StepContext) -> Plan:
        """Read, change nothing, and say what would be done.

        Raises TransientError (try again) or PermanentError (the target is gone).
        """
        ...

    async def apply(self, plan: Plan, params: ParamsT_contra, ctx: StepContext) -> None:
        """Make the planned effect, once, with the key and a target-side precondition.

        Raises TransientError (nothing is known to have happened: probe before a repeat),
        ConflictError (the object is not the one planned for) or PermanentError.
        """
        ...

    async def probe(self, plan: Plan, params: ParamsT_contra, ctx: StepContext) -> Probe:
        """Say whether an earlier `apply` under the same key landed. Changes nothing."""
        ...

    async def settled(self, plan: Plan, params: ParamsT_contra, ctx: StepContext) -> Settled:
        """Say whether what was applied is done; called again while it is PENDING."""
        ...


@dataclass(frozen=True, slots=True)
class Undo:
    """How an effect that was made for a while only is taken back."""

    after: timedelta
    """Time since the intent."""
    params: JsonObject
    """Parameters of the same action, as its Params model dumps them."""


class Role(StrEnum):
    """What the planner must know of an action."""

    EFFECT = "effect"
    """Changes something: judged by the gate, never before evidence was collected."""
    EVIDENCE = "evidence"
    VERIFY = "verify"
    """DONE ends the run as cured, FAILED goes on to the next step."""
    NEUTRAL = "neutral"
    """Waits, tells people."""


@dataclass(frozen=True, slots=True)
class ActionSpec(Generic[ParamsT]):
    """The one constant of an action module."""

    name: str
    help: str
    """One line for `--help` and the generated tables."""
    params: type[ParamsT]
    action: Action[ParamsT]
    role: Role
    during_rollout: bool = False
    """True when the action is itself the cure for a rollout in progress (rollback)."""
    permissions: tuple[str, ...] = ()
    """`<group>/<resource>:<verb>,<verb>`: `apps/deployments:get,patch`, `core/pods/log:get`."""
    poll: timedelta = timedelta(seconds=2)
    """How long between two looks at `settled`."""
    timeout: Callable[[ParamsT], timedelta] = lambda _: timedelta(minutes=10)
    """How long `settled` may stay PENDING before the step counts as failed."""
    undo: Callable[[Plan, ParamsT], Undo | None] = lambda _plan, _params: None
    """How what was applied is taken back by itself; None when it is there to stay."""


class Notifier(Protocol[SettingsT_contra]):
    """Delivers messages to one kind of service."""

    async def send(
        self, settings: SettingsT_contra, message: Notification, http: "HttpPort"
    ) -> None:
        """Deliver once. Raises TransientError (try again later) or PermanentError (never)."""
        ...


class HttpPort(Protocol):
    """POSTs for notifiers, with a deadline; the status is returned, not judged.

    Raises TransientError when no answer came.
    """

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: timedelta
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and at most 64 KiB of the body."""
        ...


@dataclass(frozen=True, slots=True)
class NotifierSpec(Generic[SettingsT]):
    """The one constant of a notifier module."""

    name: str
    help: str
    settings: type[SettingsT]
    notifier: Notifier[SettingsT]
