"""The API's errors: each is an exception here and a Status object on the wire."""

from tests.bed.cluster.simulated.kinds import Kind
from tests.bed.cluster.simulated.objects import Obj

REASONS = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """What a client is told when its request failed."""

    def __init__(
        self, code: int, message: str, *, reason: str = "", details: Obj | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason or REASONS.get(code, "Unknown"),
            "details": details or {},
            "code": code,
        }


def _details(kind: Kind, name: str) -> Obj:
    return {"name": name, "group": kind.group, "kind": kind.plural}


def not_found(kind: Kind, name: str) -> ApiError:
    """404, in Kubernetes' words."""
    message = f'{kind.qualified} "{name}" not found'
    return ApiError(404, message, details=_details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """409 to a second create of the same name."""
    message = f'{kind.qualified} "{name}" already exists'
    return ApiError(409, message, reason="AlreadyExists", details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    """409 to a write based on another version or on another object of the same name."""
    why = why or (
        "the object has been modified; "
        "please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return ApiError(409, message, details=_details(kind, name))


def invalid(kind: Kind, name: str, field: str, why: str) -> ApiError:
    """422 to an object that breaks a rule."""
    message = f'{kind.name}.{kind.group} "{name}" is invalid: {field}: {why}'.replace(". ", " ", 1)
    cause: Obj = {"field": field, "message": why, "reason": "FieldValueInvalid"}
    details = _details(kind, name) | {"kind": kind.name, "causes": [cause]}
    return ApiError(422, message, details=details)


def expired(version: int, oldest: int) -> ApiError:
    """410 to a version that is no longer kept."""
    return ApiError(410, f"too old resource version: {version} ({oldest})")


def success(kind: Kind, name: str, uid: str) -> Obj:
    """The Status that answers a finished delete."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(kind, name) | {"uid": uid},
    }
