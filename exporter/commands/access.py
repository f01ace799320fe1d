"""`kpi-exporter access`: what a user, a group or a service account may do, and through what."""

import asyncio
import json
import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from exporter import app as composition
from exporter.posture import reading
from exporter.posture.rbac import Access, Grant, Rbac, within
from exporter.posture.rbac import access as of_user
from exporter.settings import ExporterSettings
from exporter.shared.clock import SystemClock
from exporter.terminal import Config, err, told


class Output(StrEnum):
    """How rights are printed."""

    TABLE = "table"
    JSON = "json"


@told
def access(
    user: Annotated[
        str,
        typer.Option("--as", help="A user, or system:serviceaccount:NAMESPACE:NAME."),
    ],
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="A group of the user; may be repeated.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only what counts in it.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.TABLE,
    config: Config = None,
) -> None:
    """Tell what RBAC lets a user do, as `kubectl auth can-i --list` would, and through what.

    It is computed from all roles and bindings, so it needs to list them, not to be the user. Other
    authorizers (a webhook, the node authorizer, EKS access policies) are not asked.
    """
    settings = composition.read_settings(config, os.environ, composition.collectors())
    found = of_user(asyncio.run(_rights(settings)), user, groups or ())
    if namespace is not None:
        found = within(found, namespace)
    match output:
        case Output.JSON:
            document = found._asdict() | {"grants": [grant._asdict() for grant in found.grants]}
            typer.echo(json.dumps(document, indent=2))
        case Output.TABLE:
            typer.echo("\n".join(table(found.grants)))
            _tell(found)


async def _rights(settings: ExporterSettings) -> Rbac:
    clients = composition.open_clients(settings, SystemClock())
    try:
        return await reading.rbac(clients.kube)
    finally:
        await clients.close()


def table(grants: Sequence[Grant]) -> list[str]:
    """Return a line for each thing that may be done something with, as kubectl does, in columns."""
    rows = [("WHERE", "WHAT", "ONLY", "VERBS", "THROUGH")]
    rows += [
        (
            grant.namespace or "(cluster)",
            what,
            " ".join(grant.names) or "-",
            " ".join(grant.verbs),
            f"{grant.binding} {grant.role}",
        )
        for grant in grants
        for what in (*grant.resources, *grant.urls)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _tell(found: Access) -> None:
    """Say on stderr what the table does not show."""
    err.print(f"{found.user}, in groups {', '.join(found.groups)}", markup=False)
    for binding in found.dangling:
        err.print(f"{binding} names a role that does not exist", style="yellow", markup=False)
