"""Alertmanager's API, version 2: what each server holds, and what there is to know of the server.

Fields that are unknown are passed over. Times come cut to milliseconds (the webhook's are not), and
what has resolved is not listed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yaml

from exporter.shared.config import parse_duration
from responder.domain.alert import Alert, AlertStatus
from responder.domain.reconciliation import Answer, Asked, Held
from responder.domain.values import Labels

DEADLINE = timedelta(seconds=5)
"""For both questions to one server. A delivery that was cut off waits for it, and those behind."""

LIMIT_BYTES = 64 * 1024 * 1024
"""Of an answer: some 50,000 alerts."""

RESOLVE_TIMEOUT = timedelta(minutes=5)
"""Alertmanager's own, where the configuration names none."""

BY_ALERT = "/api/v2/alerts"
"""All that a server holds."""

BY_GROUP = "/api/v2/alerts/groups"
"""The same as its groups hold it, which is what webhooks are made of. For a moment after a reload
of the configuration they are not yet filled."""

LISTED = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}


class Failure(StrEnum):
    """Why a server gave no answer; the values label the metric."""

    AWAY = "away"
    """No answer, none in time, or 5xx."""
    REFUSED = "refused"
    """No access, or no such address."""
    MALFORMED = "malformed"
    """Not what Alertmanager says."""


class _FailedError(Exception):
    """One server gave no answer; text is `<reason>: <detail>`."""

    def __init__(self, reason: Failure, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")


class _Named(msgspec.Struct):
    name: str


class _State(msgspec.Struct):
    state: str


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: str
    fingerprint: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    status: _State
    receivers: list[_Named]
    annotations: dict[str, str] | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Group(msgspec.Struct):
    labels: dict[str, str]
    receiver: _Named
    alerts: list[_Alert]


class _Config(msgspec.Struct):
    original: str = ""


class _Status(msgspec.Struct):
    uptime: str
    """When it started, in spite of the name."""
    config: _Config = msgspec.field(default_factory=_Config)


class _Global(msgspec.Struct):
    resolve_timeout: str = "5m"


class _Route(msgspec.Struct):
    receiver: str | None = None
    mute_time_intervals: list[str] | None = None
    active_time_intervals: list[str] | None = None
    routes: list["_Route"] | None = None


class _Document(msgspec.Struct):
    global_: _Global | None = msgspec.field(default=None, name="global")
    route: _Route | None = None
    receivers: list[_Named] | None = None


@dataclass(frozen=True, slots=True)
class _Configuration:
    resolve_timeout: timedelta = RESOLVE_TIMEOUT
    receivers: frozenset[str] = frozenset()
    timed: frozenset[str] = frozenset()


class AlertmanagerGateway:
    """Implements responder.contract.AlertmanagerQuery."""

    def __init__(self, urls: Sequence[str], *, deadline: timedelta = DEADLINE) -> None:
        """`urls` are bases, without `/api` and without a slash at the end."""
        self.urls = tuple(urls)
        self._deadline = deadline
        self._session = aiohttp.ClientSession()
        self._read: dict[str, tuple[str, _Configuration]] = {}

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def ask(self, *, by_group: bool = False) -> Asked:
        """Ask each once, at the same time; who gave no answer stands among the failures."""
        path, read = (BY_GROUP, _by_group) if by_group else (BY_ALERT, _by_alert)
        found = await asyncio.gather(*(self._one(url, path, read) for url in self.urls))
        return Asked(
            answers=[each for each in found if isinstance(each, Answer)],
            failures={
                _shown(url): each
                for url, each in zip(self.urls, found, strict=True)
                if isinstance(each, str)
            },
        )

    async def _one(self, url: str, path: str, read: Callable[[bytes], list[Held]]) -> Answer | str:
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                # In this order: one that is started anew between the two says so in the second.
                alerts = await self._get(f"{url}{path}", LISTED)
                status = await self._get(f"{url}/api/v2/status", {})
            # Ten thousand alerts take a third of a second, for which intake must not stand still.
            held = await asyncio.to_thread(read, alerts)
            return self._answer(url, held, status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"{Failure.AWAY}: {type(error).__name__}"
        except _FailedError as error:
            return str(error)
        except (ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
            # msgspec's are ValueErrors
            return f"{Failure.MALFORMED}: {str(error)[:200]}"

    async def _get(self, url: str, query: Mapping[str, str]) -> bytes:
        async with self._session.get(url, params=query) as answer:
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > LIMIT_BYTES:
                    raise _FailedError(Failure.MALFORMED, f"more than {LIMIT_BYTES} bytes")
            if answer.status >= 500:
                raise _FailedError(Failure.AWAY, f"it answered {answer.status}")
            if answer.status != 200:
                raise _FailedError(Failure.REFUSED, f"it answered {answer.status}")
            return bytes(body)

    def _answer(self, url: str, held: list[Held], status: bytes) -> Answer:
        told = msgspec.json.decode(status, type=_Status)
        text, known = self._read.get(url, ("", _Configuration()))
        if text != told.config.original:
            known = _configuration(told.config.original)
            self._read[url] = (told.config.original, known)
        return Answer(
            url=_shown(url),
            started_at=_time(told.uptime),
            resolve_timeout=known.resolve_timeout,
            receivers=known.receivers,
            timed=known.timed,
            held=held,
        )


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()


def _by_alert(body: bytes) -> list[Held]:
    return [
        _held(each, {receiver.name for receiver in each.receivers})
        for each in msgspec.json.decode(body, type=list[_Alert])
    ]


def _by_group(body: bytes) -> list[Held]:
    return [
        _held(each, {group.receiver.name}, group.labels)
        for group in msgspec.json.decode(body, type=list[_Group])
        for each in group.alerts
    ]


def _held(alert: _Alert, receivers: set[str], group: Labels | None = None) -> Held:
    return Held(
        alert=Alert(
            fingerprint=alert.fingerprint,
            status=AlertStatus.FIRING,
            labels=alert.labels,
            annotations=alert.annotations or {},
            starts_at=_time(alert.starts_at),
            starts_at_text=alert.starts_at,
            ends_at=None,
            generator_url=alert.generator_url,
        ),
        receivers=frozenset(receivers),
        is_told=alert.status.state == "active",
        group=group,
    )


def _time(text: str) -> datetime:
    """Read RFC 3339 as UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text!r} names no zone")
    return at.astimezone(UTC)


def _configuration(text: str) -> _Configuration:
    """Read what matters of a configuration; some servers show none, which is all defaults."""
    loaded = yaml.load(text, _LOADER) or {}  # noqa: S506 - it is one of the safe two
    document = msgspec.convert(loaded, _Document)
    told = document.global_ or _Global()
    timed: set[str] = set()
    routes = [("", document.route)] if document.route else []
    while routes:
        above, route = routes.pop()
        receiver = route.receiver or above
        if route.mute_time_intervals or route.active_time_intervals:
            timed.add(receiver)
        routes += [(receiver, below) for below in route.routes or ()]
    return _Configuration(
        resolve_timeout=parse_duration(told.resolve_timeout),
        receivers=frozenset(each.name for each in document.receivers or ()),
        timed=frozenset(timed),
    )


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where there is one: a large configuration must not hold up the loop."""
