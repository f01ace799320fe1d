"""A real OpenTofu, built once from its pinned Go module.

No provider can be fetched with it, so what it manages is `terraform_data`, which is built in.
"""

from pathlib import Path

from tests.bed.cluster.real import cache
from tests.bed.cluster.real.programs import go

SOURCE = Path(__file__).parent / "tofu"


def program() -> Path:
    """Return the program, building it when there is none: 3 minutes, 115 MB. Raises BedError."""
    return cache.made("tofu", cache.digest(SOURCE), _build) / "tofu"


def _build(out: Path) -> None:
    print("tofu: building OpenTofu; 3 minutes the first time, never again …", flush=True)
    go(SOURCE, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{out}/", "tool")
