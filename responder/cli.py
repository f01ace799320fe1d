"""`alert-responder`: serve, lint and simulate by itself; everything else through the API."""

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from exporter.shared.config import ConfigError
from responder.client import ApiClient
from responder.commands import incidents, sessions, switch
from responder.domain.values import Json, JsonObject
from responder.terminal import (
    URL,
    As,
    Config,
    IncidentId,
    Output,
    TokenFile,
    Url,
    err,
    mapping,
    mappings,
    out,
    print_json,
    print_table,
    strings,
    told,
)


class Form(StrEnum):
    """How manifests are printed."""

    YAML = "yaml"
    JSON = "json"


app = typer.Typer(
    name="alert-responder",
    help="Receives alerts, runs runbooks through one gate, verifies by KPI, tells people.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(incidents, name="incidents")
app.add_typer(switch, name="kill-switch")
app.add_typer(sessions, name="sessions")


def main() -> None:
    """Run the command line."""
    app()


@app.command()
@told
def serve(
    config: Config,
    *,
    insecure_loopback: Annotated[
        bool,
        typer.Option(
            "--insecure-loopback",
            help="Start without any token. Only on 127.0.0.1, only for trying things out.",
        ),
    ] = False,
) -> None:
    """Run the responder: webhook, API and engine, until SIGTERM."""
    from responder.app import serve as run  # noqa: PLC0415 - the engine's libraries take a second

    asyncio.run(run(config, insecure_loopback=insecure_loopback))


@app.command()
@told
def migrate(config: Config) -> None:
    """Bring the database to this release's form; safe to run twice, and beside running replicas."""
    from responder.app import migrate as upgrade  # noqa: PLC0415 - as in serve

    for line in asyncio.run(upgrade(config)):
        out.print(line)


@app.command()
@told
def retention(config: Config, output: As = Output.TABLE) -> None:
    """Say how many rows are past the time to keep them; the running responder deletes those."""
    from responder.app import retention as count  # noqa: PLC0415 - as in serve

    found = asyncio.run(count(config))
    if output is Output.JSON:
        print_json(list(found))
    else:
        print_table(("table", "kept", "rows", "past"), found)


@app.command()
def lint(
    policies: Annotated[Path, typer.Argument(help="A policy file, or a folder of them.")],
    *,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings that define the receivers.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Folder of alert rules, to find runbooks that nothing fires."),
    ] = None,
    output: As = Output.TABLE,
) -> None:
    """Check policies: one line for each mistake, with file:line:column. Exit code 1 if any."""
    from responder.app import lint as check  # noqa: PLC0415 - as in serve
    from responder.app import notes  # noqa: PLC0415 - as in serve

    try:
        problems = check(policies, config, rules)
    except ConfigError as error:
        problems = list(error.problems)
    if output is Output.JSON:
        fields = ("file", "line", "column", "message")
        print_json([{name: getattr(item, name) for name in fields} for item in problems])
    else:
        for problem in problems:
            err.print(str(problem), markup=False)
    if problems:
        raise typer.Exit(1)
    if output is Output.TABLE:
        out.print(f"{policies}: no mistakes found")
        for note in notes(config):
            out.print(f"note: {note}", markup=False, soft_wrap=True)


@app.command()
@told
def simulate(
    policies: Annotated[Path, typer.Argument(help="A policy file, or a folder of them.")],
    label: Annotated[
        list[str], typer.Option("--label", "-l", help="A label of the alert, NAME=VALUE. Repeat.")
    ],
    output: As = Output.TABLE,
) -> None:
    """Put one alert in and see the whole decision; nothing is asked and nothing is done."""
    from responder.app import explain  # noqa: PLC0415 - as in serve

    labels = dict(_pair(item, "--label") for item in label)
    decision = explain(policies, labels)
    if output is Output.JSON:
        print_json(decision.to_json())
    else:
        for line in decision.lines():
            out.print(line, markup=False)


@app.command()
@told
def permissions(
    policies: Annotated[Path, typer.Argument(help="A policy file, or a folder of them.")],
    by_hand: Annotated[
        list[str] | None,
        typer.Option("--by-hand", help="An action that people run besides the runbooks. Repeat."),
    ] = None,
    account: Annotated[
        str, typer.Option(help="The responder's ServiceAccount.")
    ] = "alert-responder",
    namespace: Annotated[str, typer.Option(help="Its namespace.")] = "runbookd",
    output: Annotated[Form, typer.Option("--output", "-o")] = Form.YAML,
) -> None:
    """Print the Roles that the enabled runbooks need, for `kubectl apply -f -`."""
    from responder.app import permissions as roles  # noqa: PLC0415 - as in serve

    found = roles(policies, by_hand or [], account, namespace)
    if output is Form.JSON:
        print_json({"apiVersion": "v1", "kind": "List", "items": list(found)})
    else:
        typer.echo(yaml.safe_dump_all(found, sort_keys=False), nl=False)


@app.command()
@told
def run(  # noqa: PLR0913 - an option each
    what: Annotated[str, typer.Argument(help="A runbook of the policy, or an action.")],
    target: Annotated[str, typer.Option(help="KIND/NAMESPACE/NAME, e.g. deployment/default/web.")],
    *,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE of an action. Repeat.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    url: Url = URL,
    token_file: TokenFile = None,
    output: As = Output.TABLE,
) -> None:
    """Run a runbook or one action on a target, through the same gate as alerts do."""
    body: JsonObject = {"target": target, "plan": plan}
    params: JsonObject = {name: _typed(value) for name, value in _pairs(param or [], "--param")}
    client = ApiClient(url, token_file)
    actions = strings(client.call("GET", "/api/v1/actions"))
    body |= {"action": what, "params": params} if what in actions else {"runbook": what}
    answer = client.call("POST", "/api/v1/runs", body)
    if output is Output.JSON:
        print_json(answer)
    elif plan:
        _print_plan(mapping(answer))
    else:
        started = mapping(answer)
        out.print(f"Run {started['number']} of INC-{started['incident']} started. Follow it with:")
        out.print(f"  alert-responder incidents show {started['incident']}")


@app.command()
@told
def report(incident: IncidentId, url: Url = URL, token_file: TokenFile = None) -> None:
    """Print the post-incident report, in Markdown."""
    typer.echo(ApiClient(url, token_file).text(f"/api/v1/incidents/{incident}/report"))


def _print_plan(answer: JsonObject) -> None:
    print_table(("action", "verdict", "summary", "pods", "reason"), mappings(answer["steps"]))


def _pair(item: str, option: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{item!r} is not NAME=VALUE", param_hint=option)
    return name, value


def _pairs(items: list[str], option: str) -> list[tuple[str, str]]:
    return [_pair(item, option) for item in items]


def _typed(value: str) -> Json:
    """Read `5` as a number and `true` as a boolean, as YAML would; all else stays text."""
    try:
        found: Json = json.loads(value)
    except ValueError:
        return value
    return found
