"""`python -m tests.bench [NAME…]`: what this machine can do, judged by ratios.

A bench is one module of this folder with `measure() -> Iterable[Row]`; nothing else is to be
edited. Each runs in a process of its own, so that it sees its own memory alone.
"""

import argparse
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from tests import bench
from tests.bench.row import Row, Verdict

Measure = Callable[[], Iterable[Row]]

COLUMNS = ("goal", "measure", "peer", "bound", "got", "verdict")
STYLES = {Verdict.MET: "green", Verdict.MISSED: "bold red", Verdict.SHOWN: "dim"}


def names() -> list[str]:
    """Return the benches there are: the modules that define `measure`."""
    modules = sorted(module.name for module in pkgutil.iter_modules(bench.__path__))
    return [name for name in modules if name != "__main__" and _measure(name) is not None]


def rows(name: str) -> list[Row]:
    """Run a bench. Raises LookupError when there is none of that name."""
    measure = _measure(name)
    if measure is None:
        raise LookupError(f"{name} has no measure(); there are {', '.join(names())}")
    return list(measure())


def in_own_process(name: str) -> list[Row]:
    """Run a bench in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(rows, name).result()


def table(name: str, found: Iterable[Row]) -> Table:
    """Return the table of a bench; the first line of its module's docstring is the title."""
    title = (import_module(f"{bench.__name__}.{name}").__doc__ or name).splitlines()[0]
    drawn = Table(*COLUMNS, title=f"{name}: {title}", title_justify="left")
    for row in found:
        drawn.add_row(*row.cells(), style=STYLES[row.verdict])
    return drawn


def main() -> None:
    """Run the benches, print a table of each, and end with 1 when a goal was missed."""
    parser = argparse.ArgumentParser(description="Measure on this machine; ratios travel best.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a bench; by default all")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    known = names()
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(known)}")
    console = Console(width=150)
    found: dict[str, list[Row]] = {}
    for name in args.names or known:
        found[name] = in_own_process(name)
        console.print(table(name, found[name]))
    if args.json:
        figures = {name: [row.record() for row in of_one] for name, of_one in found.items()}
        args.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    missed = [row for of_one in found.values() for row in of_one if row.verdict is Verdict.MISSED]
    sys.exit(1 if missed else 0)


def _measure(name: str) -> Measure | None:
    module = import_module(f"{bench.__name__}.{name}")
    return cast("Measure | None", getattr(module, "measure", None))


if __name__ == "__main__":
    main()
