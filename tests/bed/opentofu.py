"""A real OpenTofu, built once from its pinned Go module; as a program this builds it.

No provider can be fetched with it, so what it manages is `terraform_data`, which is built in.
"""

from pathlib import Path

from tests.bed import go
from tests.bed.cluster.real import cache

SOURCE = Path(__file__).parent / "tofu"


def program() -> Path:
    """Return the program, building it when there is none: 5 minutes, 115 MB. Raises BedError."""
    return cache.made("tofu", cache.digest(SOURCE), _build) / "tofu"


def _build(out: Path) -> None:
    _say("building OpenTofu; 5 minutes on two cores, once")
    go.build_tools(SOURCE, out, _say)


def _say(what: str) -> None:
    print(f"tofu: {what} …", flush=True)


if __name__ == "__main__":
    program()
