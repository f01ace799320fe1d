"""`alert-responder`: serve, lint and simulate by itself; everything else through the API."""

import asyncio
import json
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from exporter.shared.config import ConfigError
from exporter.shared.errors import RunbookdError
from responder.client import ApiClient
from responder.domain.values import Json, JsonObject

P = ParamSpec("P")

app = typer.Typer(
    name="alert-responder",
    help="Receives alerts, runs runbooks through one gate, verifies by KPI, tells people.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
incidents = typer.Typer(help="What is going on, and who has it.", no_args_is_help=True)
switch = typer.Typer(help="The kill switch: while it is on, nothing is changed.")
app.add_typer(incidents, name="incidents")
app.add_typer(switch, name="kill-switch")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class Output(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    JSON = "json"


Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file (YAML).")]
Url = Annotated[
    str,
    typer.Option("--url", envvar="ALERT_RESPONDER_URL", help="Address of a running responder."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", envvar="ALERT_RESPONDER_TOKEN_FILE", help="File that holds your token."
    ),
]
As = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]
IncidentId = Annotated[str, typer.Argument(help="42 or INC-42.")]
URL = "http://127.0.0.1:9843"


def main() -> None:
    """Run the command line."""
    app()


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into one line each on stderr and exit code 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RunbookdError as error:
            err.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error

    return wrapped


@app.command()
@_told
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
@_told
def migrate(config: Config) -> None:
    """Bring the responder's tables to this release's form; safe to run twice."""
    from responder.app import read_settings  # noqa: PLC0415 - as in serve
    from responder.store.database import migrate as upgrade  # noqa: PLC0415 - as in serve

    out.print(upgrade(read_settings(config).store_url))


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


@app.command()
@_told
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
@_told
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
    actions = _strings(client.call("GET", "/api/v1/actions"))
    body |= {"action": what, "params": params} if what in actions else {"runbook": what}
    answer = client.call("POST", "/api/v1/runs", body)
    if output is Output.JSON:
        print_json(answer)
    elif plan:
        _print_plan(_object(answer))
    else:
        started = _object(answer)
        out.print(f"Run {started['number']} of INC-{started['incident']} started. Follow it with:")
        out.print(f"  alert-responder incidents show {started['incident']}")


@incidents.command("list")
@_told
def list_incidents(
    status: Annotated[str, typer.Option(help="open, resolved, closed, or all.")] = "open",
    url: Url = URL,
    token_file: TokenFile = None,
    output: As = Output.TABLE,
) -> None:
    """List incidents, newest first."""
    query = "" if status == "all" else f"?status={status}"
    found = ApiClient(url, token_file).call("GET", f"/api/v1/incidents{query}")
    if output is Output.JSON:
        print_json(found)
        return
    columns = ("name", "status", "severity", "title", "runbook", "opened_at", "told_level")
    _print_table(columns, _objects(found))


@incidents.command()
@_told
def show(
    incident: IncidentId, url: Url = URL, token_file: TokenFile = None, output: As = Output.TABLE
) -> None:
    """Show one incident with its timeline."""
    found = _object(ApiClient(url, token_file).call("GET", f"/api/v1/incidents/{incident}"))
    if output is Output.JSON:
        print_json(found)
        return
    out.print(f"{found['name']}  {found['status']}  {found['title']}", style="bold", markup=False)
    _print_table(("at", "phase", "text"), _objects(found["timeline"]))


@incidents.command()
@_told
def ack(incident: IncidentId, url: Url = URL, token_file: TokenFile = None) -> None:
    """Take an incident: people of its level are not told again."""
    found = _object(ApiClient(url, token_file).call("POST", f"/api/v1/incidents/{incident}/ack"))
    out.print(f"{found['name']} acknowledged by {found['acked_by']}")


@incidents.command()
@_told
def resolve(
    incident: IncidentId,
    why: Annotated[str, typer.Option(help="For the timeline.")] = "a person said so",
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """End an incident by your word."""
    path = f"/api/v1/incidents/{incident}/resolve"
    found = _object(ApiClient(url, token_file).call("POST", path, {"why": why}))
    out.print(f"{found['name']} resolved")


@app.command()
@_told
def report(incident: IncidentId, url: Url = URL, token_file: TokenFile = None) -> None:
    """Print the post-incident report, in Markdown."""
    typer.echo(ApiClient(url, token_file).text(f"/api/v1/incidents/{incident}/report"))


@switch.command("on")
@_told
def switch_on(url: Url = URL, token_file: TokenFile = None) -> None:
    """Refuse every effect from now on."""
    _switch(ApiClient(url, token_file), on=True)


@switch.command("off")
@_told
def switch_off(url: Url = URL, token_file: TokenFile = None) -> None:
    """Let the gate judge again."""
    _switch(ApiClient(url, token_file), on=False)


@switch.command("status")
@_told
def switch_status(url: Url = URL, token_file: TokenFile = None) -> None:
    """Say whether it is on, and who turned it."""
    found = _object(ApiClient(url, token_file).call("GET", "/api/v1/kill-switch"))
    state = "on" if found["on"] else "off"
    who = f", turned by {found['by']} at {found['at']}" if found["by"] else ""
    out.print(f"{state}{who}")


def _switch(client: ApiClient, *, on: bool) -> None:
    client.call("PUT", "/api/v1/kill-switch", {"on": on})
    out.print(f"kill switch is {'on' if on else 'off'}")


def print_json(value: Json) -> None:
    """Print JSON as programs like it: two spaces, nothing else on stdout."""
    typer.echo(json.dumps(value, indent=2))


def _print_plan(answer: JsonObject) -> None:
    _print_table(("action", "verdict", "summary", "pods", "reason"), _objects(answer["steps"]))


def _print_table(columns: tuple[str, ...], rows: list[JsonObject]) -> None:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    out.print(table)


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


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise RunbookdError("the responder answered something that is no object")
    return value


def _objects(value: Json) -> list[JsonObject]:
    return [_object(item) for item in value] if isinstance(value, list) else []


def _strings(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
