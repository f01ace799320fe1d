"""`python -m tests.bench [NAME…]`: what this machine can do, judged by ratios."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.discovery import in_own_process, names, title
from tests.bench.row import Row, Verdict

COLUMNS = ("goal", "measure", "peer", "bound", "got", "verdict")
STYLES = {Verdict.MET: "green", Verdict.MISSED: "bold red", Verdict.SHOWN: "dim"}


def table(name: str, found: Iterable[Row]) -> Table:
    """Return the table of a bench."""
    drawn = Table(*COLUMNS, title=f"{name}: {title(name)}", title_justify="left")
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


if __name__ == "__main__":
    main()
