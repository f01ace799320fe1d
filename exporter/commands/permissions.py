"""`kpi-exporter permissions`: what the API server must allow the exporter; reading alone."""

import os
from typing import Annotated

import typer
import yaml

from exporter import app as composition
from exporter.shared.rbac import rules, verbs_of
from exporter.terminal import Config, told


@told
def permissions(
    config: Config = None,
    name: Annotated[str, typer.Option(help="Name of the ClusterRole.")] = "kpi-exporter",
) -> None:
    """Print the ClusterRole that the enabled collectors need, for `kubectl apply -f -`."""
    specs = composition.collectors()
    settings = composition.read_settings(config, os.environ, specs)
    asked = [each for enabled in settings.enabled() for each in specs[enabled].permissions]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [dict(rule) for rule in rules(verbs_of(asked))],
    }
    typer.echo(yaml.safe_dump(role, sort_keys=False), nl=False)
