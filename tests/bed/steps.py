"""What an action is handed, made by hand: for tests of actions without the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from exporter.shared.kube_client import KubeConnection
from responder.contract import StepContext
from responder.domain.values import Labels
from responder.gateways.kube import KubeGateway
from responder.gateways.prometheus import PrometheusGateway

USER_AGENT = "runbookd-test"

NOWHERE = Path("/nonexistent/kubeconfig")


@dataclass
class Step:
    """One step's ports, and what it attached and queued."""

    kube: KubeGateway
    metrics: PrometheusGateway
    attached: dict[str, str] = field(default_factory=dict)
    told: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def context(
        self,
        *,
        intent_at: datetime,
        now: datetime | None = None,
        key: str = "incident-1:1:1",
        labels: Labels | None = None,
    ) -> StepContext:
        """Return the context of one attempt; by default no time has passed since the intent."""

        def notify(receivers: Sequence[str], text: str) -> None:
            self.told.append((tuple(receivers), text))

        return StepContext(
            key=key,
            incident_id=1,
            labels=labels or {},
            intent_at=intent_at,
            now=now or intent_at,
            kube=self.kube,
            writer=self.kube,
            metrics=self.metrics,
            attach=self.attached.__setitem__,
            notify=notify,
        )


def no_cluster() -> KubeGateway:
    """Return a gateway that leads nowhere, for steps that must not need one."""
    return KubeGateway(KubeConnection(NOWHERE, user_agent=USER_AGENT))
