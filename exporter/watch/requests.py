"""What a pod asks for, what it may use, and what the scheduler keeps free for it; pure."""

from collections.abc import Iterable
from functools import lru_cache

from exporter.ports import Resources
from exporter.watch.objects import Amounts, Container, PodSpec, Requirements
from exporter.watch.quantity import amount

_NONE = Amounts()
_UNLIMITED = Requirements()


@lru_cache(maxsize=4096)
def _shared(cpu: float | None, memory: float | None) -> Resources:
    """Return one object for equal amounts: thousands of pods come from a few templates.

    Sums are rounded to the quantities' own precision, nanocores: 0.1 and 0.2 make 0.3.
    """
    return Resources(cpu if cpu is None else round(cpu, 9), memory)


def requests(spec: PodSpec) -> Resources:
    """Return what the running containers ask for together; None where one asks for nothing.

    The HPA counts so: it takes no ratio of a pod with a container that asks for nothing.
    """
    return _complete(spec, limits=False)


def limits(spec: PodSpec) -> Resources:
    """Return what the running containers may use together; None where one may use all."""
    return _complete(spec, limits=True)


def reserved(spec: PodSpec) -> Resources:
    """Return what the scheduler counts against the node; 0 for what nobody asks for.

    Init containers run one after the other, each beside the sidecars started before it, and before
    the containers: the pod needs the most that is asked for at any one time, plus its overhead.
    """
    of_pod = _of(spec.resources, limits=False)
    overhead = _read(spec.overhead)
    found = []
    for index in (0, 1):
        whole = of_pod[index]
        asked = _peak(spec, index) if whole is None else whole
        found.append(asked + (overhead[index] or 0.0))
    return _shared(found[0], found[1])


def _complete(spec: PodSpec, *, limits: bool) -> Resources:
    of_pod = _of(spec.resources, limits=limits)
    running = [*(spec.containers or ()), *_sidecars(spec)]
    each = [_of(one.resources, limits=limits) for one in running]
    cpu = _sum(one.cpu for one in each) if of_pod.cpu is None else of_pod.cpu
    memory = _sum(one.memory for one in each) if of_pod.memory is None else of_pod.memory
    return _shared(cpu, memory)


def _peak(spec: PodSpec, index: int) -> float:
    def asks(container: Container) -> float:
        return _of(container.resources, limits=False)[index] or 0.0

    highest = staying = 0.0
    for container in spec.init_containers or ():
        if container.restart_policy == "Always":
            staying += asks(container)
            highest = max(highest, staying)
        else:
            highest = max(highest, staying + asks(container))
    return max(highest, staying + sum(asks(one) for one in spec.containers or ()))


def _sidecars(spec: PodSpec) -> Iterable[Container]:
    return (one for one in spec.init_containers or () if one.restart_policy == "Always")


def _sum(values: Iterable[float | None]) -> float | None:
    total: float | None = None
    for value in values:
        if value is None:
            return None
        total = value if total is None else total + value
    return total


def _of(requirements: Requirements | None, *, limits: bool) -> Resources:
    given = requirements or _UNLIMITED
    return _read(given.limits if limits else given.requests)


def _read(amounts: Amounts | None) -> Resources:
    given = amounts or _NONE
    return _shared(
        None if given.cpu is None else amount(given.cpu),
        None if given.memory is None else amount(given.memory),
    )
