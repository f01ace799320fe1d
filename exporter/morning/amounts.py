"""Amounts as people read them."""

DAY = 86400.0
"""Seconds."""


def amount(unit: str, value: float) -> str:
    """Write a value of the KPI catalogue's unit."""
    match unit:
        case "seconds":
            return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"
        case "ratio":
            return f"{value:.2%}".replace("%", " %")
        case "requests_per_second":
            return f"{value:.1f} requests/s"
        case "bytes":
            return size(value)
        case "bytes_per_day":
            return f"{size(value)} per day"
        case _:
            return f"{value:g}"


def size(value: float) -> str:
    """Write a size in bytes with the largest unit of 1024 that leaves a whole part."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def span(seconds: float) -> str:
    """Write a duration as kubectl writes an age: `42s`, `7m`, `5h`, `12d`."""
    seconds = max(0.0, seconds)
    for unit, length, until in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 2 * DAY)):
        if seconds < until:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds / DAY:.0f}d"


def counted(number: float, one: str, many: str = "") -> str:
    """Write a number of things: `1 restart`, `3 restarts`; `many` where no s makes it."""
    return f"{number:.0f} {one if number == 1 else many or one + 's'}"
