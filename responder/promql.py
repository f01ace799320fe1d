"""PromQL from values that strangers wrote."""

from responder.domain.values import Labels


def selector(labels: Labels) -> str:
    """Return a selector of equalities, its values escaped as PromQL's double quotes ask."""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ", ".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
