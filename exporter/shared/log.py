"""One structured log for both programs: JSON where a machine reads, colour on a terminal."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Literal, TextIO

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import ExcInfo, Processor

SECRET = re.compile(
    r"token|password|passwd|secret|dsn|authorization|credential|cookie", re.IGNORECASE
)
"""Keys whose values never reach the log."""

_IN_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@", re.IGNORECASE)
"""A password in an address: `postgresql://user:password@host`."""


def redact(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Blank the values of secret keys, also in nested mappings, and passwords in addresses."""
    for key, value in event.items():
        event[key] = "[redacted]" if SECRET.search(key) and value else clean(value)
    return event


def clean(value: object) -> object:
    """Return `value` without secrets: those of secret keys, and passwords in addresses.

    A mapping of `name` and `value`, as Kubernetes writes environments, is taken for a key too.
    """
    match value:
        case str():
            return _IN_URL.sub(r"\g<scheme>:[redacted]@", value)
        case {"name": str(name), "value": str(inner)} if SECRET.search(name) and inner:
            return {"name": name, "value": "[redacted]"}
        case dict():
            return dict(redact(None, "", {str(key): inner for key, inner in value.items()}))
        case list() | tuple():
            return [clean(inner) for inner in value]
        case _:
            return value


def _traceback(stream: TextIO, error: ExcInfo) -> None:
    stream.write(f"\n{clean(''.join(traceback.format_exception(*error)))}")


def set_up_log(
    level: str = "info",
    stream: TextIO | None = None,
    form: Literal["auto", "logfmt", "json"] = "auto",
) -> None:
    """Send everything, the standard library's log included, to `stream` (stderr by default).

    The form `auto` is for people on a terminal, else JSON.
    """
    stream = stream or sys.stderr
    pretty = form == "auto" and stream.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if pretty else [structlog.processors.format_exc_info]),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form, pretty=pretty),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _renderer(form: str, *, pretty: bool) -> Processor:
    if pretty:
        return structlog.dev.ConsoleRenderer(exception_formatter=_traceback)
    if form == "logfmt":
        first = ["timestamp", "level", "logger", "event"]
        return structlog.processors.LogfmtRenderer(key_order=first, drop_missing=True)
    return structlog.processors.JSONRenderer()


def get_log(name: str) -> BoundLogger:
    """Return the log of a module: `log.info("source failed", source=name)`."""
    log: BoundLogger = structlog.stdlib.get_logger(name)
    return log
