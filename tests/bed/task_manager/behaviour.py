"""What each image tag of the sample application does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """One release; `error_every=5` fails each fifth request for tasks with 500, 0 fails none."""

    tag: str
    error_every: int = 0


BEHAVIOURS = {
    behaviour.tag: behaviour
    for behaviour in (
        Behaviour("v3"),
        Behaviour("v4"),
        Behaviour("v4-errors", error_every=5),
    )
}
