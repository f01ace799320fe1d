from collections.abc import Mapping
from datetime import timedelta

import pytest
from typing_extensions import override

from exporter.shared.config import Duration, Section
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Plan, Probe, Settled
from responder.domain.values import Target


class _Restart(Section):
    pass


class _Verify(Section):
    kpi: str
    settle: Duration = timedelta(seconds=10)


class _Tell(Section):
    receivers: tuple[str, ...]


class _Never(Action[Section]):
    """Reading a policy calls no action."""

    @override
    async def plan(self, target: Target, params: Section, ctx: StepContext) -> Plan:
        raise AssertionError

    @override
    async def apply(self, plan: Plan, params: Section, ctx: StepContext) -> None:
        raise AssertionError

    @override
    async def probe(self, plan: Plan, params: Section, ctx: StepContext) -> Probe:
        raise AssertionError

    @override
    async def settled(self, plan: Plan, params: Section, ctx: StepContext) -> Settled:
        raise AssertionError


def _spec(name: str, params: type[Section], role: Role) -> ActionSpec[Section]:
    return ActionSpec(name=name, help=name, params=params, action=_Never(), role=role)


@pytest.fixture
def actions() -> Mapping[str, ActionSpec[Section]]:
    """Three actions, as small as they can be."""
    return {
        "restart": _spec("restart", _Restart, Role.EFFECT),
        "verify": _spec("verify", _Verify, Role.VERIFY),
        "tell": _spec("tell", _Tell, Role.NEUTRAL),
    }
