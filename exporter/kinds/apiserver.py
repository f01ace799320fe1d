"""The API server: is it ready by its own checks, how soon does it say so, which version is it."""

import json
from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import gauge
from exporter.ports import Answer

READY = gauge(
    "kpi_apiserver_ready", "1 if the API server says that it is ready; 0 if not, or if silent.", ()
)
CHECK = gauge(
    "kpi_apiserver_check_ok",
    "1 if this one of the API server's readiness checks holds.",
    ("check",),
)
RESPONSE = gauge(
    "kpi_apiserver_response_seconds",
    "Time that the API server took to say whether it is ready.",
    (),
)
INFO = gauge("kpi_apiserver_info", "Version of the API server.", ("version",))
METRICS = (READY, CHECK, RESPONSE, INFO)

READY_PATH = "/readyz?verbose"
VERSION_PATH = "/version"
MOST_CHECKS = 200
"""Kubernetes 1.37 has about 60; an aggregated server may bring its own."""
_MARKS = {"[+]": 1.0, "[-]": 0.0}


def ready_samples(answer: Answer, seconds: float) -> Iterator[Sample]:
    """Read `/readyz?verbose`: a line `[+]NAME ok` or `[-]NAME failed: …` for each check."""
    yield Sample(READY, (), float(answer.status == 200))
    yield Sample(RESPONSE, (), seconds)
    checks: dict[str, float] = {}
    for line in answer.body.decode(errors="replace").splitlines():
        name = line[3:].partition(" ")[0]
        if line[:3] in _MARKS and name and len(checks) < MOST_CHECKS:
            checks[name] = _MARKS[line[:3]]
    for name, value in checks.items():
        yield Sample(CHECK, (name,), value)


def silent_samples() -> Iterator[Sample]:
    """Tell of an API server that does not answer."""
    yield Sample(READY, (), 0.0)


def version_samples(answer: Answer) -> Iterator[Sample]:
    """Read `/version`; nothing is published of an answer that says none."""
    try:
        said = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        said = None
    version = said.get("gitVersion") if isinstance(said, dict) else None
    if isinstance(version, str):
        yield Sample(INFO, (version,), 1.0)
