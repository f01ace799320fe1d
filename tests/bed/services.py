"""What the engine's parts need beside a store, where a test asks nothing of the world."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from exporter.shared.clock import Clock, SystemClock
from responder.domain.policy import Policy
from responder.engine.fleet import Alone
from responder.engine.services import Services
from responder.gateways.postgres import PostgresGateway
from responder.metrics import ResponderMetrics
from responder.settings import ResponderSettings
from responder.store.database import Store

if TYPE_CHECKING:
    from exporter.shared.kube import KubeReader
    from responder.contract import AlertmanagerQuery, HttpPort, KubeWriter, MetricsQuery


def without_a_world(
    store: Store,
    policy: Policy,
    *,
    kube: object = None,
    alertmanagers: object = None,
    clock: Clock | None = None,
) -> Services:
    """Return services whose ports break when they are used, but for those that are handed in."""
    nothing = object()
    return Services(
        settings=ResponderSettings(policies=Path("none")),
        clock=clock or SystemClock(),
        store=store,
        policy=policy,
        actions={},
        receivers={},
        kube=cast("KubeReader", kube or nothing),
        writer=cast("KubeWriter", nothing),
        databases=PostgresGateway({}),
        query=cast("MetricsQuery", nothing),
        alertmanagers=cast("AlertmanagerQuery", alertmanagers or nothing),
        http=cast("HttpPort", nothing),
        metrics=ResponderMetrics(),
        fleet=Alone(Path("none")),
    )
