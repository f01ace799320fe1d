"""What every form of the test cluster offers, simulated or real."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One request as the API server received it, in the order of arrival."""

    verb: str
    """Kubernetes' own: get, list, watch, create, update, patch or delete."""
    path: str
    """Without the query."""
    user_agent: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with the next `times` requests that match `verb` and `path`."""

    verb: str = ""
    """As in `RequestSeen`; empty matches every verb."""
    path: str = ""
    """A regular expression searched in the path; empty matches every path."""
    status: int = 0
    """Answer with this instead (409, 410, 429, 500 ...), as a proper Status; 0 answers normally."""
    retry_after: int = 0
    """Seconds, as a header and in the Status of the answer; 0 leaves them out."""
    latency: float = 0.0
    """Seconds before the request is looked at."""
    cut: bool = False
    """The request is carried out and its answer lost; a watch breaks in the middle of a line."""
    cut_after: int = 0
    """Events that a cut watch still delivers."""
    times: int = 1
    """How many requests it meets before it is used up; negative: until cleared."""


class Faults(Protocol):
    """Faults on demand, put in force in the order they were added."""

    async def add(self, fault: Fault) -> None:
        """Arm `fault` for requests that arrive from now on."""
        ...

    async def clear(self) -> None:
        """Disarm all faults."""
        ...


class Cluster(Protocol):
    """A cluster with one node, all of whose parts stop when its context ends."""

    @property
    def kubeconfig(self) -> Path:
        """File that any Kubernetes client can use; its user may do everything."""
        ...

    async def image(self, reference: str) -> None:
        """Make `name:tag` runnable; `name` is one of the bed's programs (`task-manager`)."""
        ...

    async def apply(self, manifest: Mapping[str, object]) -> None:
        """Create the object, or merge `manifest` into it (strategic merge: nothing is pruned)."""
        ...

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for the end of the object and of what it owns; a missing one is fine."""
        ...

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, object] | None:
        """Return the object as JSON, or None when there is none."""
        ...

    async def compact(self) -> None:
        """Make each resourceVersion older than the present too old for a watch or a next page."""
        ...

    def requests(self) -> Sequence[RequestSeen]:
        """Return what clients asked of the API server so far; the bed's own is left out."""
        ...


class FaultyCluster(Cluster, Protocol):
    """A cluster whose API server fails on demand, which only the simulated one does."""

    @property
    def faults(self) -> Faults:
        """Faults of the API server."""
        ...
