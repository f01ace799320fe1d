"""Ports: what collectors reach the world through; clients and watch hold the other ends."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from exporter.application import Application
from exporter.aws_port import Aws, AwsAccount
from exporter.command_port import Commands
from exporter.probe_port import Prober
from exporter.shared.clock import Clock
from exporter.shared.errors import PermanentError, TransientError
from exporter.sql_port import Console, Database

FollowedT_contra = TypeVar("FollowedT_contra", contravariant=True)


class PodView(Protocol):
    """A pod as the shared pod stream knows it."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """Those that speak to scrapers: `prometheus.io/…` and `runbookd.io/…`."""
    ip: str
    ready: bool
    workload: str
    """Name of the workload that owns it, or empty."""
    workload_type: str
    """`deployment`, `statefulset`, `daemonset`, or empty."""
    created: datetime | None


class Resources(NamedTuple):
    """Amounts of the two resources that nodes are filled with; None is unknown, or no bound."""

    cpu: float | None
    """Cores."""
    memory: float | None
    """Bytes."""


class ContainerView(Protocol):
    """A container of a pod (init containers too), as far as metrics need it."""

    name: str
    restarts: int
    waiting_reason: str | None
    """Why it waits (may be empty), or None when it does not wait."""
    ended_reason: str | None
    """Why it has ended (may be empty), or None when it has not."""
    last_reason: str | None
    """Why its last incarnation ended (may be empty), or None when none has."""
    last_finished: datetime | None
    """When its last incarnation ended."""


class WatchedPod(PodView, Protocol):
    """All that the pod stream keeps of a pod."""

    deleting: bool
    """It was told to end, and is on no account ready."""
    phase: str
    reason: str
    """Why the pod as a whole does not run (`Evicted`, `Unschedulable`), or empty."""
    node: str
    containers: Sequence[ContainerView]
    requests: Resources
    """Of its running containers together; None where one of them asks for nothing."""
    limits: Resources
    """The same; None where one of them may use all there is."""
    reserved: Resources
    """What the scheduler counts against the node; never None."""


class WatchedNode(Protocol):
    """What is kept of a node."""

    uid: str
    name: str
    ready: bool
    unschedulable: bool
    tainted: bool
    """It takes only pods that say they bear with it."""
    conditions: Mapping[str, str]
    """Type → status (`True`, `False`, `Unknown`)."""
    version: str
    """Of its kubelet."""
    runtime: str
    kernel: str
    os_image: str
    created: datetime | None
    capacity: Mapping[str, float]
    """Resource (`cpu`, `memory`, `pods`, `ephemeral-storage`) → cores, bytes or pieces."""
    allocatable: Mapping[str, float]
    """What of the capacity pods may have."""


class WatchedReplicaSet(Protocol):
    """One template of a Deployment, as the pod stream keeps it for the walk to the owner."""

    uid: str
    owner_kind: str
    """Kind of the controller (`Deployment`), or empty."""
    owner_name: str
    owner_uid: str
    revision: str
    template_hash: str
    created: datetime | None


class Follower(Protocol[FollowedT_contra]):
    """Who is told of every object of a shared stream; a Publisher's begin and sweep, per object."""

    def on_object(self, obj: FollowedT_contra) -> None:
        """Take an object that is new or has changed; several changes may come as one."""
        ...

    def on_delete(self, uid: str) -> None:
        """Forget an object; unknown ones are fine."""
        ...

    def begin(self) -> None:
        """All that is known follows, up to `sweep`."""
        ...

    def sweep(self) -> None:
        """Drop what was not told since `begin`."""
        ...

    def alive(self) -> None:
        """The stream is up to date now."""
        ...

    def failed(self, reason: str) -> None:
        """The stream met a failure that it recovers from."""
        ...


class Pods(Protocol):
    """The one pod stream of the process: owned by the application, handed out by Clients.

    It starts when it is first asked; until it is `synced`, nothing said here is complete.
    """

    def matching(self, namespace: str, selector: Mapping[str, str]) -> Sequence[PodView]:
        """Return the pods of `namespace` (empty: of all) with every label of `selector`."""
        ...

    @property
    def synced(self) -> bool:
        """True once the first listing is complete."""
        ...

    def everywhere(self) -> Sequence[WatchedPod]:
        """Return every pod, as last seen."""
        ...

    async def follow(self, follower: Follower[WatchedPod]) -> None:
        """Tell `follower` of every pod, now and on each change, until cancelled.

        Raises what ended the stream, which a bug alone can; it starts again when next asked.
        """
        ...

    async def follow_replica_sets(self, follower: Follower[WatchedReplicaSet]) -> None:
        """Tell `follower` of every ReplicaSet, as `follow` does of pods."""
        ...


class Nodes(Protocol):
    """The one node stream of the process, as Pods is of pods."""

    @property
    def synced(self) -> bool:
        """True once the first listing is complete."""
        ...

    def everywhere(self) -> Sequence[WatchedNode]:
        """Return every node, as last seen."""
        ...

    async def follow(self, follower: Follower[WatchedNode]) -> None:
        """Tell `follower` of every node, as Pods.follow does of pods."""
        ...


class Response(Protocol):
    """A streamed HTTP answer of the API server, as kubernetes_asyncio returns it unparsed."""

    status: int

    @property
    def content(self) -> "LineSource":
        """The body."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


class LineSource(Protocol):
    """A body that can be read in chunks as they arrive."""

    async def readany(self) -> bytes:
        """Return what has arrived; empty at the end."""
        ...

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, or all."""
        ...


class Answer(NamedTuple):
    """An answer of the API server, whatever its status."""

    status: int
    body: bytes


class KubeApi(Protocol):
    """Raw reads of the API server; the reflector builds on these two."""

    async def list(self, path: str, query: Mapping[str, str]) -> bytes:
        """GET `path`, return the body. Raises TransientError, PermanentError, GoneError (410)."""
        ...

    async def watch(self, path: str, query: Mapping[str, str]) -> Response:
        """Open a watch on `path` (the caller closes it). Raises as `list` does."""
        ...


class ApiServer(KubeApi, Protocol):
    """All reads of the API server; collectors are given these."""

    async def metadata(self, path: str, query: Mapping[str, str]) -> bytes:
        """GET a list of objects with their metadata alone. Raises as `list` does.

        The server leaves out the rest: what a Secret holds does not come here, unless an
        annotation repeats it.
        """
        ...

    async def ask(self, path: str, *, deadline: timedelta) -> Answer:
        """GET `path` and return what comes, an error's status too. Raises TransientError."""
        ...

    async def certificate(self) -> bytes | None:
        """Return the certificate that the server shows, as DER; None where it speaks no TLS.

        Whether it is valid is not asked: an expired one is what this is for. Raises TransientError.
        """
        ...


class Resolver(Protocol):
    """The name resolution that every program of this pod uses."""

    async def resolve(self, name: str, *, deadline: timedelta) -> Sequence[str]:
        """Return the addresses of `name`. Raises TransientError (no answer in time, no such name).

        A lookup that is late goes on by itself; it is not asked a second time beside it.
        """
        ...


class HttpTimeoutError(TransientError):
    """The peer did not answer in time."""


class TooLongError(PermanentError):
    """The answer is longer than the caller allows."""


class HttpAnswer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Http(Protocol):
    """Bounded HTTP GETs."""

    async def get(
        self,
        url: str,
        *,
        deadline: timedelta,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """GET `url` without following redirects.

        Raises TransientError (refused, reset), HttpTimeoutError, TooLongError (over `max_bytes`) or
        PermanentError (no address that can be asked).
        """
        ...


class Clients(Protocol):
    """Opens connections to the world when an enabled collector first asks for one."""

    @property
    def clock(self) -> Clock:
        """The process's time."""
        ...

    @property
    def http(self) -> Http:
        """Bounded GETs."""
        ...

    @property
    def prober(self) -> Prober:
        """Timed HTTP requests on connections of their own."""
        ...

    @property
    def kube(self) -> ApiServer:
        """Raw reads of the API server."""
        ...

    @property
    def pods(self) -> Pods:
        """The one pod stream."""
        ...

    @property
    def nodes(self) -> Nodes:
        """The one node stream."""
        ...

    @property
    def resolver(self) -> Resolver:
        """Name resolution."""
        ...

    @property
    def applications(self) -> Sequence[Application]:
        """The application mapping of the settings."""
        ...

    @property
    def commands(self) -> Commands:
        """Runs other people's programs."""
        ...

    def database(self, dsn: str, *, collector: str, statement_timeout: timedelta) -> Database:
        """Return the one connection of `collector` to `dsn`; collectors do not delay each other."""
        ...

    def pgbouncer(self, dsn: str) -> Console:
        """Return the one admin console at `dsn` of this process."""
        ...

    def aws(self, account: AwsAccount) -> Aws:
        """Return the one connection to `account` of this process."""
        ...
