from datetime import UTC, datetime, timedelta

import pytest

from exporter.shared.kube import Workload
from responder.objects import STALLED, has_stalled

INTENT = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


def workload(at: datetime | None, *, reason: str = STALLED, observed: int = 2) -> Workload:
    return Workload(
        kind="Deployment",
        namespace="default",
        name="web",
        uid="u",
        resource_version="1",
        generation=2,
        observed_generation=observed,
        labels={},
        annotations={},
        template_annotations={},
        selector={},
        replicas=1,
        updated=0,
        ready=0,
        available=0,
        total=1,
        paused=False,
        revision="2",
        progressing_reason=reason,
        progressing_at=at,
    )


@pytest.mark.parametrize(
    ("found", "stalled"),
    [
        (workload(INTENT + timedelta(minutes=1)), True),
        (workload(INTENT.replace(microsecond=0)), True),
        (workload(None), True),
        (workload(INTENT - timedelta(minutes=1)), False),
        (workload(INTENT + timedelta(minutes=1), observed=1), False),
        (workload(INTENT + timedelta(minutes=1), reason="ReplicaSetUpdated"), False),
    ],
)
def test_only_a_condition_from_after_the_effect_says_that_it_is_stuck(
    found: Workload, *, stalled: bool
) -> None:
    assert has_stalled(found, INTENT) is stalled
