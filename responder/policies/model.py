"""The policy file as users write it; `load` turns it into responder.domain.policy."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from exporter.shared.config import Duration, Section
from responder.domain.policy import GateConfig, Limits, Mode

_LIMITS = Limits()
_GATE = GateConfig()


class TargetSection(Section):
    """One of `targets`: `$label` stands for a label's value."""

    kind: str
    namespace: str = ""
    """Left out for objects of the cluster."""
    name: str
    otherwise: Literal["owner-of-pod"] | None = Field(default=None, alias="else")
    """What to do when a label is missing: walk from the pod to its workload."""


class WhenSection(Section):
    """A step's `when`."""

    rollout_younger_than: Duration | None = None


class LimitsSection(Section):
    """A runbook's `limits`."""

    cooldown: Duration = Field(default=_LIMITS.cooldown, le=timedelta(days=1))
    """A day at most: the gate looks no further back."""
    per_hour: int = Field(default=_LIMITS.per_hour, ge=1)
    per_day: int = Field(default=_LIMITS.per_day, ge=1)


class RunbookSection(Section):
    """One of `runbooks`. Steps are read by the actions they name."""

    name: str = Field(min_length=1)
    match: list[str] = Field(default_factory=list)
    """Alertmanager matcher lists; all must match. None: every alert."""
    target: str
    mode: Mode = Mode.OBSERVE
    steps: list[object]
    limits: LimitsSection = LimitsSection()
    escalation: str = "default"


class LevelSection(Section):
    """One level of an escalation."""

    after: Duration
    notify: list[str] = Field(min_length=1)


class NamespacesSection(Section):
    """`gate.namespaces`; `deny` stands over `allow`."""

    allow: list[str] = Field(default_factory=list)
    deny: list[str] = Field(default_factory=list)


class BudgetSection(Section):
    """`gate.budget`."""

    cluster_per_hour: int = Field(default=_GATE.cluster_per_hour, ge=0)
    """Changes to anything in the cluster within an hour; 0 refuses every one."""


class GateSection(Section):
    """`gate`."""

    namespaces: NamespacesSection = NamespacesSection()
    budget: BudgetSection = BudgetSection()
    hold: Duration = Field(default=_GATE.hold, gt=timedelta(0))


class PolicyFile(Section):
    """A whole file. Its parts are validated one by one, so that one mistake hides no other."""

    version: int
    targets: dict[str, object] = Field(default_factory=dict)
    runbooks: list[object] = Field(default_factory=list)
    escalation: dict[str, list[object]] = Field(default_factory=dict)
    gate: dict[str, object] = Field(default_factory=dict)

    @field_validator("version")
    @classmethod
    def _is_known(cls, version: int) -> int:
        if version != 1:
            raise ValueError(f"{version} is not a version that this release reads; write 1")
        return version
