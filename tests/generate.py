"""`make generate`: one module of `tests.generated` with one constant SPEC for each file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exporter.shared.plugins import discover
from tests import generated

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Generated:
    """A file of the tree whose content follows from the code."""

    name: str
    """The module's."""
    file: str
    """Its place, from the root of the tree."""
    content: Callable[[], str]
    """The whole file; the same for the same code."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return ROOT / self.file


def discovered() -> dict[str, Generated]:
    """Return every generated file by its module's name."""
    return discover(generated, Generated)


def main() -> None:
    """Write every file that would change, and say which."""
    for each in discovered().values():
        new = each.content()
        if each.path.exists() and each.path.read_text() == new:
            continue
        each.path.write_text(new)
        print(f"generate: {each.file}")  # noqa: T201 - what a person waits for
