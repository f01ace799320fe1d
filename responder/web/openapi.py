"""Builds /openapi.json from the API's own table of routes."""

import re
from collections.abc import Iterable

from pydantic import TypeAdapter

from responder.domain.values import Json, JsonObject
from responder.web import views
from responder.web.routing import Route

_REF = "#/components/schemas/{model}"


def document(routes: Iterable[Route], version: str) -> JsonObject:
    """Return the OpenAPI 3.1 document of `routes`."""
    schemas: JsonObject = {}
    paths: dict[str, JsonObject] = {}
    refused = _content(views.ErrorView, schemas)
    for route in routes:
        answers = _content(route.answers, schemas)
        operation: JsonObject = {
            "summary": route.summary,
            "description": f"Needs a token of role `{route.role}`.",
            "operationId": f"{route.method.lower()}{re.sub('[^a-z0-9]+', '_', route.path)}",
            "security": [{"bearer": []}],
            "parameters": _parameters(route.path),
            "responses": {
                str(route.status): {"description": "Done.", "content": answers},
                "400": {"description": "The request is wrong.", "content": refused},
                "401": {"description": "No valid token.", "content": refused},
                "403": {"description": "The token's role may not.", "content": refused},
                "404": {"description": "There is no such thing.", "content": refused},
            },
        }
        if route.takes is not None:
            operation["requestBody"] = {"content": _content(route.takes, schemas)}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "runbookd responder", "version": version},
        "paths": dict(paths),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _content(answers: object, schemas: JsonObject) -> JsonObject:
    if answers is str:
        return {"text/markdown": {"schema": {"type": "string"}}}
    adapter: TypeAdapter[object] = TypeAdapter(answers)  # type: ignore[arg-type]  # any type form
    schema = adapter.json_schema(ref_template=_REF, mode="serialization")
    schemas.update(schema.pop("$defs", {}))
    title = schema.get("title")
    if isinstance(title, str) and schema.get("type") == "object":
        schemas[title] = schema
        schema = {"$ref": _REF.format(model=title)}
    return {"application/json": {"schema": schema}}
