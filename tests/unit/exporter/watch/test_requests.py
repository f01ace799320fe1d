"""What pods ask for: as the HPA counts, and as the scheduler does."""

from exporter.ports import Resources
from exporter.watch.objects import Amounts, Container, PodSpec, Requirements
from exporter.watch.requests import counted

MI = 1024.0 * 1024
NOTHING = Container()
UNKNOWN = Resources(None, None)


def asks(cpu: str | None, memory: str | None = None, *, stays: bool = False) -> Container:
    return Container(
        Requirements(Amounts(cpu, memory), Amounts(cpu, memory)), "Always" if stays else None
    )


def test_containers_are_summed_exactly() -> None:
    spec = PodSpec(containers=[asks("100m", "64Mi"), asks("200m", "64Mi")])
    assert counted(spec) == (Resources(0.3, 128 * MI),) * 3


def test_where_one_container_asks_for_nothing_the_sum_is_unknown_but_reserved() -> None:
    spec = PodSpec(containers=[asks("100m", "64Mi"), asks(None, "64Mi")])
    assert counted(spec).requests == Resources(None, 128 * MI)
    assert counted(spec).reserved == Resources(0.1, 128 * MI)
    nothing = counted(PodSpec(containers=[NOTHING]))
    assert nothing == (UNKNOWN, UNKNOWN, Resources(0.0, 0.0))
    assert counted(PodSpec()) == nothing


def test_a_sidecar_runs_and_an_init_container_has_ended() -> None:
    spec = PodSpec(containers=[asks("100m")], init_containers=[asks("1"), asks("50m", stays=True)])
    assert counted(spec).requests.cpu == 0.15


def test_the_scheduler_reserves_the_most_that_is_asked_for_at_one_time() -> None:
    first, sidecar, second = asks("1"), asks("500m", stays=True), asks("800m")
    web = asks("700m")

    def needed(*before: Container) -> float | None:
        return counted(PodSpec(containers=[web], init_containers=list(before))).reserved.cpu

    assert needed() == 0.7
    assert needed(first) == 1.0
    assert needed(first, sidecar) == 1.2
    assert needed(first, sidecar, second) == 1.3
    assert needed(sidecar, first) == 1.5


def test_overhead_is_reserved_and_not_asked_for() -> None:
    spec = PodSpec(containers=[asks("100m", "64Mi")], overhead=Amounts("250m", "120Mi"))
    assert counted(spec).requests.cpu == 0.1
    assert counted(spec).reserved == Resources(0.35, 184 * MI)


def test_what_the_pod_as_a_whole_asks_for_stands_above_its_containers() -> None:
    whole = Requirements(Amounts("2"), Amounts("3"))
    spec = PodSpec(containers=[NOTHING, asks("100m", "64Mi")], resources=whole)
    assert counted(spec).requests == Resources(2.0, None)
    assert counted(spec).limits == Resources(3.0, None)
    assert counted(spec).reserved == Resources(2.0, 64 * MI)


def test_equal_amounts_are_one_object() -> None:
    one, other = (PodSpec(containers=[asks("100m", "64Mi")]) for _ in range(2))
    assert counted(one) is counted(other)
