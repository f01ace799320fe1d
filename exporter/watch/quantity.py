"""Amounts as Kubernetes writes them: `250m`, `1.5Gi`, `2e3`."""

import re
from collections.abc import Mapping
from functools import lru_cache

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?")
_MULTIPLES: Mapping[str, int] = {
    **{name: 1000**power for power, name in enumerate("kMGTPE", start=1)},
    **{f"{name}i": 1024**power for power, name in enumerate("KMGTPE", start=1)},
}
_PARTS: Mapping[str, int] = {"m": 10**3, "u": 10**6, "n": 10**9}


@lru_cache(maxsize=4096)
def amount(text: str) -> float | None:
    """Return a quantity in its base unit (cores, bytes, pieces), or None when it is none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    number = float(found[1] + (found[2] or ""))
    suffix = found[3] or ""
    return number * _MULTIPLES.get(suffix, 1) / _PARTS.get(suffix, 1)


def amounts(texts: Mapping[str, str] | None) -> dict[str, float]:
    """Return the quantities of a resource list that can be read."""
    read = {name: amount(text) for name, text in (texts or {}).items()}
    return {name: value for name, value in read.items() if value is not None}
