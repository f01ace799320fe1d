"""What a pod asks for, what it may use, and what the scheduler keeps free for it; pure.

Thousands of pods come from a few templates: each template is counted once.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from exporter.ports import Resources
from exporter.watch.objects import Amounts, Container, PodSpec, Requirements
from exporter.watch.quantity import amount

TEMPLATES = 4096
"""Templates whose counts are kept: more than a cluster of many tenants has at a time."""

_NONE = Amounts()


class Counted(NamedTuple):
    """The three amounts of a pod."""

    requests: Resources
    """Of the running containers together; None where one asks for nothing. The HPA counts so: it
    takes no ratio of a pod with a container that asks for nothing."""
    limits: Resources
    """The same of limits; None where one may use all there is."""
    reserved: Resources
    """What the scheduler counts against the node; 0 for what nobody asks for."""


Part = tuple[str | None, str | None, str | None, str | None, str]
"""What one container says: CPU and memory that it asks for, those that it may use, and `stays` for
an init container that runs beside the others (a sidecar), else nothing. A plain tuple, for it is a
key that is made for every container of every pod that changes."""
STAYS = 4
_SILENT: Part = (None, None, None, None, "")


def counted(spec: PodSpec) -> Counted:
    """Count what a pod asks for, may use, and has reserved."""
    whole, overhead = spec.resources, spec.overhead
    return _counted(
        _SILENT if whole is None else _part(whole, ""),
        tuple(map(_of, spec.containers or ())),
        tuple(map(_of, spec.init_containers or ())),
        (None, None) if overhead is None else (overhead.cpu, overhead.memory),
    )


def _of(container: Container) -> Part:
    stays = "stays" if container.restart_policy == "Always" else ""
    if container.resources is None:
        return (None, None, None, None, stays)
    return _part(container.resources, stays)


def _part(given: Requirements, stays: str) -> Part:
    asked, bound = given.requests or _NONE, given.limits or _NONE
    return (asked.cpu, asked.memory, bound.cpu, bound.memory, stays)


@lru_cache(maxsize=TEMPLATES)
def _counted(
    whole: Part,
    containers: tuple[Part, ...],
    before: tuple[Part, ...],
    overhead: tuple[str | None, str | None],
) -> Counted:
    """Count a template. What the pod as a whole says stands above what its containers say."""
    running = [*containers, *(one for one in before if one[STAYS])]
    requests, limits, reserved = [], [], []
    for asks, may in ((0, 2), (1, 3)):  # CPU, memory
        asked, bound = _read(whole[asks]), _read(whole[may])
        requests.append(_sum(one[asks] for one in running) if asked is None else asked)
        limits.append(_sum(one[may] for one in running) if bound is None else bound)
        most = _peak(containers, before, asks) if asked is None else asked
        reserved.append(most + (_read(overhead[asks]) or 0.0))
    return Counted(_resources(requests), _resources(limits), _resources(reserved))


def _peak(containers: Iterable[Part], before: Iterable[Part], asks: int) -> float:
    """Return the most that is asked for at any one time.

    Init containers run one after the other, each beside the sidecars started before it, and all
    before the containers.
    """
    highest = staying = 0.0
    for one in before:
        asked = _read(one[asks]) or 0.0
        if one[STAYS]:
            staying += asked
        highest = max(highest, staying if one[STAYS] else staying + asked)
    at_last = (_read(one[asks]) or 0.0 for one in containers)
    return max(highest, staying + sum(at_last))


def _sum(texts: Iterable[str | None]) -> float | None:
    values = [_read(text) for text in texts]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _read(text: str | None) -> float | None:
    return None if text is None else amount(text)


def _resources(of: list[float | None] | list[float]) -> Resources:
    """Round sums to the quantities' own precision, nanocores: 0.1 and 0.2 make 0.3."""
    cpu, memory = of
    return Resources(None if cpu is None else round(cpu, 9), memory)
