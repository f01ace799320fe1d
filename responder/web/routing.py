"""What every handler of the API shares: its row in the table, parsed requests, answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from responder.domain.values import Target
from responder.settings import Role

CALLER: web.RequestKey[str] = web.RequestKey("caller", str)
"""Name of the token that the request came with; it goes to the timeline."""

ID_DIGITS = 18
"""More do not fit the store's 64 bits."""

ModelT = TypeVar("ModelT", bound=BaseModel)

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the API, as the server routes it and OpenAPI documents it."""

    method: str
    path: str
    role: Role
    summary: str
    handler: Handler
    answers: object
    """Type of the answer."""
    takes: type[BaseModel] | None = None
    """Model of the request's body."""
    status: int = 200
    """Of an answer that is no error."""


def answer(view: object, status: int = 200) -> web.Response:
    """Render a view (or a list of views) as JSON."""
    body = TypeAdapter(type(view)).dump_json(view)
    return web.Response(body=body, status=status, content_type="application/json")


def number(request: web.Request) -> int:
    """Return the incident's number in the address: `42` or `INC-42`. Raises HTTPException."""
    text = request.match_info["id"].upper().removeprefix("INC-")
    if not (text.isascii() and text.isdecimal()):
        raise refuse(f"{request.match_info['id']!r} is no incident; write 42 or INC-42")
    if len(text) > ID_DIGITS:
        raise web.HTTPNotFound(text="there is no incident with so long a number")
    return int(text)


async def body(request: web.Request, model: type[ModelT]) -> ModelT:
    """Return the request's body as `model`. Raises HTTPBadRequest naming the first mistake."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        raise refuse(first(error)) from error


def parsed(model: type[ModelT], fields: Mapping[str, object]) -> ModelT:
    """Return a form's fields as `model`; those that it does not have, or are empty, are left out.

    Raises HTTPBadRequest naming the first mistake.
    """
    known = {name: value for name, value in fields.items() if value and name in model.model_fields}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        raise refuse(first(error)) from error


def target(text: str) -> Target:
    """Read a target. Raises HTTPBadRequest with what is wrong."""
    try:
        return Target.parse(text)
    except ValueError as error:
        raise refuse(str(error)) from error


def first(error: ValidationError) -> str:
    """Return the first mistake in one line."""
    found = error.errors(include_url=False)[0]
    place = ".".join(map(str, found["loc"]))
    return f"{place}: {found['msg']}" if place else str(found["msg"])


def refuse(message: str) -> web.HTTPBadRequest:
    """Return the error of a request that is wrong."""
    return web.HTTPBadRequest(text=message)


def missing(number: int, what: str = "incident") -> web.HTTPNotFound:
    """Return the error of an incident that is not there."""
    return web.HTTPNotFound(text=f"there is no {what} {number}")
