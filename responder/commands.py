"""The commands about incidents and the kill switch; they speak to a running responder."""

from pathlib import Path
from typing import Annotated

import typer

from responder.client import ApiClient
from responder.domain.values import Json, JsonObject
from responder.terminal import (
    URL,
    As,
    IncidentId,
    Output,
    TokenFile,
    Url,
    mapping,
    mappings,
    out,
    print_json,
    print_table,
    told,
)

incidents = typer.Typer(help="What is going on, and who has it.", no_args_is_help=True)
switch = typer.Typer(help="The kill switch: while it is on, nothing is changed.")

sessions = typer.Typer(help="Who is logged in at the console.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="For the timeline of every open incident.")]


@incidents.command("list")
@told
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
    print_table(columns, mappings(found))


@incidents.command()
@told
def show(
    incident: IncidentId, url: Url = URL, token_file: TokenFile = None, output: As = Output.TABLE
) -> None:
    """Show one incident with its timeline."""
    found = mapping(ApiClient(url, token_file).call("GET", f"/api/v1/incidents/{incident}"))
    if output is Output.JSON:
        print_json(found)
        return
    out.print(f"{found['name']}  {found['status']}  {found['title']}", style="bold", markup=False)
    print_table(("at", "phase", "text"), mappings(found["timeline"]))


@incidents.command("open")
@told
def open_incident(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    *,
    target: Annotated[
        str, typer.Option(help="KIND/NAMESPACE/NAME; left out, people are told and nothing is run.")
    ] = "",
    severity: Annotated[str, typer.Option(help="critical, warning or info.")] = "warning",
    note: Annotated[str, typer.Option(help="What else is known.")] = "",
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """Open an incident for what somebody reports; it lives as one of an alert does."""
    body: JsonObject = {"title": title, "target": target, "severity": severity, "note": note}
    found = mapping(ApiClient(url, token_file).call("POST", "/api/v1/incidents", body))
    out.print(f"{found['name']} is open: {found['title']}", markup=False)


@incidents.command()
@told
def ack(incident: IncidentId, url: Url = URL, token_file: TokenFile = None) -> None:
    """Take an incident: people of its level are not told again."""
    found = _act(url, token_file, f"{incident}/ack")
    out.print(f"{found['name']} acknowledged by {found['acked_by']}")


@incidents.command()
@told
def hold(
    incident: IncidentId,
    why: Annotated[str, typer.Option(help="For the timeline.")] = "",
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """Stop what alerts started before its next effect, until `resume`."""
    found = _act(url, token_file, f"{incident}/hold", {"why": why})
    out.print(f"{found['name']} held by {found['held_by']}")


@incidents.command()
@told
def resume(incident: IncidentId, url: Url = URL, token_file: TokenFile = None) -> None:
    """End a hold: what waited goes on."""
    out.print(f"{_act(url, token_file, f'{incident}/resume')['name']} goes on")


@incidents.command()
@told
def note(
    incident: IncidentId,
    what: Annotated[str, typer.Argument(help="What was decided.")],
    why: Annotated[str, typer.Option(help="Because of what.")] = "",
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """Write a decision on the timeline: who, what, why."""
    fact = _act(url, token_file, f"{incident}/decisions", {"what": what, "why": why})
    out.print(str(fact["text"]), markup=False)


@incidents.command()
@told
def resolve(
    incident: IncidentId,
    why: Annotated[str, typer.Option(help="For the timeline.")] = "a person said so",
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """End an incident by your word."""
    found = _act(url, token_file, f"{incident}/resolve", {"why": why})
    out.print(f"{found['name']} resolved")


def _act(url: str, token_file: Path | None, path: str, body: Json = None) -> JsonObject:
    return mapping(ApiClient(url, token_file).call("POST", f"/api/v1/incidents/{path}", body))


@switch.command("on")
@told
def switch_on(reason: Reason = "", url: Url = URL, token_file: TokenFile = None) -> None:
    """Refuse every effect from now on."""
    _switch(ApiClient(url, token_file), reason, on=True)


@switch.command("off")
@told
def switch_off(reason: Reason = "", url: Url = URL, token_file: TokenFile = None) -> None:
    """Let the gate judge again."""
    _switch(ApiClient(url, token_file), reason, on=False)


@switch.command("status")
@told
def switch_status(url: Url = URL, token_file: TokenFile = None) -> None:
    """Say whether it is on, and who turned it."""
    found = mapping(ApiClient(url, token_file).call("GET", "/api/v1/kill-switch"))
    state = "on" if found["on"] else "off"
    who = f", turned by {found['by']} at {found['at']}" if found["by"] else ""
    why = f": {found['reason']}" if found["reason"] else ""
    out.print(f"{state}{who}{why}", markup=False)


def _switch(client: ApiClient, reason: str, *, on: bool) -> None:
    client.call("PUT", "/api/v1/kill-switch", {"on": on, "reason": reason})
    out.print(f"kill switch is {'on' if on else 'off'}")


@sessions.command("list")
@told
def list_sessions(url: Url = URL, token_file: TokenFile = None, output: As = Output.TABLE) -> None:
    """List the logins in force, newest first."""
    found = ApiClient(url, token_file).call("GET", "/api/v1/sessions")
    if output is Output.JSON:
        print_json(found)
        return
    print_table(("id", "name", "began_at", "ends_at"), mappings(found))


@sessions.command("end")
@told
def end_session(
    session: Annotated[str, typer.Argument(help="Its id, as `sessions list` shows it.")],
    url: Url = URL,
    token_file: TokenFile = None,
) -> None:
    """End a login before its time; whoever has the token can log in anew."""
    client = ApiClient(url, token_file)
    found = mapping(client.call("DELETE", f"/api/v1/sessions/{session}"))
    out.print(f"the session of {found['name']} has ended", markup=False)
