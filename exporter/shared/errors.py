"""Errors whose class says what the caller should do.

::

    RunbookdError
    ├── TransientError   wait (`retry_after`, where the peer said so) and try again
    ├── PermanentError   stop this step: trying again cannot help
    │   ├── ConflictError  the object changed since it was read: read it again and decide again
    │   └── NotFoundError  there is no such object (any more)
    ├── GoneError        list again (HTTP 410 of a watch)
    └── ConfigError      refuse to start (raised by exporter.shared.config, with positions)
"""

from datetime import timedelta


class RunbookdError(Exception):
    """The root of every error that this project raises on purpose."""


class TransientError(RunbookdError):
    """The peer is busy, slow or away; the same call may go through later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """What the peer asked us to wait (`Retry-After`), or None."""


class PermanentError(RunbookdError):
    """The peer understood and said no; the same call will fail again."""


class ConflictError(PermanentError):
    """The object changed since it was read (HTTP 409, or a failed precondition)."""


class NotFoundError(PermanentError):
    """There is no such object (HTTP 404)."""


class GoneError(RunbookdError):
    """The resourceVersion asked for is too old (HTTP 410): list again."""
