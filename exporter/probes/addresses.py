"""The address that a target has now; that of a Service is its load balancer's."""

from datetime import timedelta
from enum import StrEnum

import msgspec

from exporter.kinds.service import Service
from exporter.ports import ApiServer
from exporter.probes.settings import Target
from exporter.shared.clock import Clock
from exporter.shared.errors import RunbookdError

KEPT = timedelta(minutes=1)
"""How long an address is used before the API server is asked again; load balancers keep theirs."""

ANSWER_WITHIN = timedelta(seconds=3)
"""For the API server; a minute's cache means that few probes wait for it."""


class Missing(StrEnum):
    """Why a target has no address, so that no probe can be made. It says nothing of its health."""

    PENDING = "load_balancer_pending"
    """The cloud has given none yet."""
    NO_BALANCER = "no_load_balancer"
    """The Service is of another type."""
    NO_SERVICE = "service_missing"
    NO_PORT = "no_port"
    API = "api_unavailable"
    """The API server does not say, and has not said before."""


class Addresses:
    """URLs of targets."""

    def __init__(self, kube: ApiServer, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._known: dict[str, tuple[Service, float]] = {}

    async def url(self, target: Target) -> str | Missing:
        """Return what is to be asked for `target`, or why that is not known."""
        if target.service is None:
            return target.url or Missing.NO_SERVICE
        found = await self._service(target.service)
        return found if isinstance(found, Missing) else service_url(found, target)

    async def _service(self, name: str) -> Service | Missing:
        """Return the Service: as last read where that is recent, or all there is."""
        known = self._known.get(name)
        now = self._clock.monotonic()
        if known is not None and now - known[1] < KEPT.total_seconds():
            return known[0]
        namespace, _, service = name.partition("/")
        path = f"/api/v1/namespaces/{namespace}/services/{service}"
        try:
            answer = await self._kube.ask(path, deadline=ANSWER_WITHIN)
            if answer.status == 404:
                self._known.pop(name, None)
                return Missing.NO_SERVICE
            read = msgspec.json.decode(answer.body, type=Service) if answer.status == 200 else None
        except (RunbookdError, msgspec.DecodeError):
            read = None
        if read is None:
            return known[0] if known is not None else Missing.API
        if read.status.load_balancer.ingress:  # one that waits is looked at again at once
            self._known[name] = (read, now)
        return read


def service_url(service: Service, target: Target) -> str | Missing:
    """Return the URL of what the Service's load balancer serves for `target`."""
    if service.spec.type != "LoadBalancer":
        return Missing.NO_BALANCER
    ingress = service.status.load_balancer.ingress or ()
    host = next((one.hostname or one.ip for one in ingress if one.hostname or one.ip), None)
    if host is None:
        return Missing.PENDING
    port = target.port or next((each.port for each in service.spec.ports or () if each.port), None)
    if port is None:
        return Missing.NO_PORT
    return f"{target.scheme}://{f'[{host}]' if ':' in host else host}:{port}{target.path}"
