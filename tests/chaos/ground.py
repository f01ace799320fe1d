"""A bed whose policy lets one release follow the other without a pause."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from responder.domain.values import Json
from tests.bed import bed as beds
from tests.bed import watch
from tests.bed.bed import Bed
from tests.bed.load import Load
from tests.bed.process import wait_until
from tests.bed.settings import HOME
from tests.chaos.counting import TARGET

FACTOR = 30.0
LOAD_SECONDS = 1800.0
"""Longer than any hand is played."""

RESTART: Json = {"target": TARGET, "runbook": "roll"}

LIMITS = "limits: {cooldown: 0s, per_hour: 1000, per_day: 1000}"
ROLL = f"""
  - name: roll
    match: ['alertname="NobodyFiresThis"']
    target: workload
    mode: act
    steps: [{{restart: {{}}}}]
    {LIMITS}
"""
"""What a person runs here: an action alone would meet the default budget of changes an hour."""


@asynccontextmanager
async def start(
    root: Path,
    argv: list[str] | None = None,
    *,
    responders: int = 1,
    lease: timedelta | None = None,
) -> AsyncIterator[Bed]:
    """Start it under load and wait until the application is well; the rest is as for any bed."""
    policies = root / "policies"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(_policy())
    async with beds.start(
        root,
        factor=FACTOR,
        replicas=2,
        policies=policies,
        responder_argv=argv,
        responders=responders,
        lease=lease,
    ) as bed:
        urls = [f"{bed.places.probe_url}/tasks"]
        async with Load.start(lambda: urls, rate=40.0, total=1_000_000, seconds=LOAD_SECONDS):
            await wait_until(
                lambda: watch.healthy(bed, "error_ratio"), 60, "the KPIs are within target"
            )
            yield bed


def _policy() -> str:
    shipped = (HOME / "rules/policies/task-manager.yaml").read_text()
    text, changed = re.subn(r"limits: \{.*\}", LIMITS, shipped)
    assert changed >= 1
    text = text.replace("\nescalation:", f"{ROLL}\nescalation:", 1)
    return text.replace("cluster_per_hour: 20", "cluster_per_hour: 1000")
