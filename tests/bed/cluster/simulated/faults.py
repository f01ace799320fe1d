"""Requests on record, and what goes wrong with them on demand."""

import asyncio
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

from tests.bed.cluster.interface import Fault, RequestSeen
from tests.bed.cluster.simulated.status import ApiError


class Audit:
    """A file with one line of JSON for each request; its reader is another process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def record(self, seen: RequestSeen) -> None:
        """Write the request down, before it is looked at."""
        self._file.write(json.dumps(asdict(seen)) + "\n")


def read_audit(path: Path) -> list[RequestSeen]:
    """Return the requests on record."""
    return [RequestSeen(**json.loads(line)) for line in path.read_text().splitlines()]


class Faults:
    """The armed faults, in the order they were added; the first that matches is used."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Arm a fault. Raises ApiError (400) for a path that is no regular expression."""
        try:
            re.compile(fault.path)
        except re.error as error:
            raise ApiError(400, f"{fault.path!r} is no regular expression: {error}") from error
        self._armed.append(fault)

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    async def meet(self, verb: str, path: str) -> Fault | None:
        """Let the next fault for this request happen.

        Waits for its latency, raises its status as ApiError, and returns it when the answer is
        to be cut by the caller.
        """
        fault = self._take(verb, path)
        if fault is None:
            return None
        await asyncio.sleep(fault.latency)
        if fault.status:
            details: dict[str, object] = (
                {"retryAfterSeconds": fault.retry_after} if fault.retry_after else {}
            )
            raise ApiError(fault.status, "the bed asked for this failure", details=details)
        return fault if fault.cut else None

    def _take(self, verb: str, path: str) -> Fault | None:
        for place, fault in enumerate(self._armed):
            if (not fault.verb or fault.verb == verb) and re.search(fault.path, path):
                if fault.times == 1:
                    del self._armed[place]
                else:
                    self._armed[place] = replace(fault, times=fault.times - 1)
                return fault
        return None
