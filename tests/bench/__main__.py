"""`python -m tests.bench`: what this machine can do, as tables; `--json FILE` keeps the figures."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import webhooks


def main() -> None:
    """Run the benches and print a table of each."""
    parser = argparse.ArgumentParser(description="Measure on this machine; ratios travel best.")
    parser.add_argument("--seconds", type=float, default=5.0, help="per scenario")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    console = Console(width=132)
    console.print("durable webhooks on SQLite, server on one core, callers on the other")
    rows = []
    for row in webhooks.run(args.seconds):
        console.print(f"  {row['scenario']}: {row['requests_per_second']}/s", style="dim")
        rows.append(row)
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)
    console.print("goal: many to a commit beside 50 workflows ≥ 3000/s, p99 ≤ 30 ms")
    if args.json:
        args.json.write_text(json.dumps({"webhooks": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
