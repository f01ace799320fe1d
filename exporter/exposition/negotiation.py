"""What a client accepts, by its headers (RFC 9110, sections 12.5.1 and 12.5.3)."""

from exporter.exposition.document import Format

_OPENMETRICS = "application/openmetrics-text"


def format_for(accept: str) -> Format:
    """Return OpenMetrics where it is wanted more than text, as Prometheus does; else text.

    Of OpenMetrics there is version 1.0.0 only. Text is also for clients that accept neither: a
    page that they may not know is better than none.
    """
    openmetrics, text = 0.0, 0.0
    for kind, parameters in _ranges(accept):
        quality = _quality(parameters)
        if kind == _OPENMETRICS and parameters.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, quality)
        elif kind in ("text/plain", "text/*", "*/*"):
            text = max(text, quality)
    return Format.OPENMETRICS if openmetrics > text else Format.TEXT


def takes_gzip(accept_encoding: str) -> bool:
    """Say whether the body may be gzip."""
    qualities = {kind: _quality(parameters) for kind, parameters in _ranges(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _ranges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Split `a;b=c, d` into [("a", {"b": "c"}), ("d", {})]."""
    found = []
    for part in header.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((kind, {name.strip(): value.strip(' "') for name, _, value in pairs}))
    return found


def _quality(parameters: dict[str, str]) -> float:
    """Return the weight of a range from 0 to 1; what cannot be read counts as not accepted."""
    try:
        return min(1.0, float(parameters.get("q", "1")))
    except ValueError:
        return 0.0
