"""Lists in pages and watches, from one store and without a hole between them."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from uuid import uuid4

from tests.bed.cluster.simulated.kinds import Kind
from tests.bed.cluster.simulated.objects import Obj, namespace_of
from tests.bed.cluster.simulated.selectors import by_fields, by_labels
from tests.bed.cluster.simulated.status import ApiError, invalid
from tests.bed.cluster.simulated.store import Change, Store

BOOKMARK_SECONDS = 2.0
"""A real API server sends one a minute and one before the watch ends; tests cannot wait so long."""
WATCH_SECONDS = 1800
SNAPSHOTS = 64
"""Lists that may be in the middle of being paged; the oldest is forgotten, as after compaction."""

TRUE = {"1", "true", "True"}


class Query:
    """What a list or watch asks for. Raises ApiError (400) when a selector cannot be read."""

    def __init__(self, kind: Kind, namespace: str, options: Mapping[str, str]) -> None:
        self.kind = kind
        self.namespace = namespace
        self.options = options
        self.bookmarks = options.get("allowWatchBookmarks") in TRUE
        self._by_labels = by_labels(options.get("labelSelector", ""))
        self._by_fields = by_fields(options.get("fieldSelector", ""))

    def matches(self, obj: Obj) -> bool:
        """Tell whether the object is one of those asked for."""
        if self.namespace and namespace_of(obj) != self.namespace:
            return False
        return self._by_labels(obj) and self._by_fields(obj)

    def number(self, option: str, default: int = 0) -> int:
        """Return a whole number of the query. Raises ApiError (400)."""
        given = self.options.get(option) or str(default)
        if not given.isdigit():
            raise ApiError(400, f'invalid {option}: "{given}"')
        return int(given)


class Lists:
    """Lists, in pages that all show the moment of the first one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshots: OrderedDict[str, tuple[int, list[Obj]]] = OrderedDict()

    def page(self, query: Query) -> Obj:
        """Return one page. Raises ApiError (410) for a continuation that is forgotten."""
        token = query.options.get("continue")
        if token:
            version, items = self._resume(token)
        else:
            version = self._store.version
            items = [o for o in self._store.every(query.kind, query.namespace) if query.matches(o)]
        limit = query.number("limit") or len(items)
        metadata: Obj = {"resourceVersion": str(version)}
        if items[limit:]:
            metadata["continue"] = self._keep(version, items[limit:])
            metadata["remainingItemCount"] = len(items) - limit
        return {
            "kind": f"{query.kind.name}List",
            "apiVersion": query.kind.api_version,
            "metadata": metadata,
            "items": items[:limit],
        }

    def _keep(self, version: int, rest: list[Obj]) -> str:
        token = uuid4().hex
        self._snapshots[token] = (version, rest)
        while len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return urlsafe_b64encode(token.encode()).decode()

    def _resume(self, token: str) -> tuple[int, list[Obj]]:
        try:
            kept = self._snapshots.get(urlsafe_b64decode(token).decode())
        except ValueError:
            raise ApiError(400, "continue key is not valid") from None
        if kept is None or kept[0] < self._store.oldest:
            raise ApiError(
                410,
                "The provided continue parameter is too old to display a consistent list result.",
            )
        return kept


def watch(store: Store, query: Query) -> AsyncGenerator[Obj, None]:
    """Return the events of a watch, for ever or until its timeoutSeconds are over.

    A version that is no longer kept is told by an ERROR event with a Status of code 410, as by
    the API server's watch cache. Raises ApiError (422) for wrong options.
    """
    initial = query.options.get("sendInitialEvents")
    if initial in TRUE and query.options.get("resourceVersionMatch") != "NotOlderThan":
        why = "Forbidden: resourceVersionMatch must be NotOlderThan with sendInitialEvents"
        raise invalid(query.kind, "", "resourceVersionMatch", why)
    return _events(store, query, query.number("resourceVersion"))


async def _events(store: Store, query: Query, version: int) -> AsyncGenerator[Obj, None]:
    wake = asyncio.Event()

    def woken(_: Change) -> None:
        wake.set()

    store.listeners.add(woken)
    try:
        streaming = query.options.get("sendInitialEvents") in TRUE
        if version == 0 or streaming:
            version = store.version
            for obj in [o for o in store.every(query.kind, query.namespace) if query.matches(o)]:
                yield {"type": "ADDED", "object": obj}
        if streaming and query.bookmarks:
            yield bookmark(query.kind, version, ended=True)
        async with aclosing(_follow(store, query, version, wake)) as following:
            async for event in following:
                yield event
    finally:
        store.listeners.discard(woken)


async def _follow(
    store: Store, query: Query, version: int, wake: asyncio.Event
) -> AsyncGenerator[Obj, None]:
    monotonic = store.clock.monotonic
    end = monotonic() + query.number("timeoutSeconds", WATCH_SECONDS)
    marked = monotonic()
    while (now := monotonic()) < end:
        wake.clear()
        news, version = _news(store, query, version), max(version, store.version)
        for event in news:  # what is committed while these are sent wakes the next round
            yield event
            if event["type"] == "ERROR":
                return
        if query.bookmarks and now - marked >= BOOKMARK_SECONDS:
            marked = now
            yield bookmark(query.kind, version)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), min(end - now, BOOKMARK_SECONDS))


def _news(store: Store, query: Query, version: int) -> list[Obj]:
    try:
        changes = store.since(version)
    except ApiError as error:
        return [{"type": "ERROR", "object": error.body}]
    events = [_event(change, query) for change in changes if change.kind == query.kind]
    return [event for event in events if event]


def _event(change: Change, query: Query) -> Obj:
    """Return the change as this watch sees it; empty when it does not."""
    was = change.before is not None and query.matches(change.before)
    now = change.type != "DELETED" and query.matches(change.obj)
    if not was and not now:
        return {}
    seen = "MODIFIED" if was and now else "ADDED" if now else "DELETED"
    return {"type": seen, "object": change.obj}


def bookmark(kind: Kind, version: int, *, ended: bool = False) -> Obj:
    """Return a bookmark; `ended` marks the one that closes the initial events."""
    metadata: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
    if ended:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {
        "type": "BOOKMARK",
        "object": {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata},
    }
