"""The objects of one watch, kept once and told to everyone who follows them."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from exporter.ports import Follower

BREATH = 100
"""Objects told before others get their turn on the loop."""


class Kept(Protocol):
    """What can be kept: it knows its uid."""

    uid: str


KeptT = TypeVar("KeptT", bound=Kept)


class Shared(Generic[KeptT]):
    """A reflector's handler that remembers, and hands each follower what it has not seen.

    Each follower drains its own set of changed uids in its own task: a slow one delays nobody, a
    failing one fails alone, and the set is never larger than the number of objects.
    """

    def __init__(self) -> None:
        self.objects: dict[str, KeptT] = {}
        self.synced = False
        self._marked: set[str] | None = None
        self._backlogs: set[_Backlog] = set()

    def put(self, obj: KeptT) -> None:
        """Keep `obj` and tell the followers, if it differs: most changes are none of ours."""
        if self._marked is not None:
            self._marked.add(obj.uid)
        if self.objects.get(obj.uid) != obj:
            self.objects[obj.uid] = obj
            self._tell(lambda backlog: backlog.changed.add(obj.uid))

    def on_delete(self, uid: str) -> None:
        """Forget an object and tell the followers."""
        if self.objects.pop(uid, None) is not None:
            self._tell(lambda backlog: backlog.changed.add(uid))

    def begin(self) -> None:
        """Start to mark what a listing holds."""
        self._marked = set()

    def sweep(self) -> None:
        """Forget what the listing did not hold."""
        if self._marked is not None:
            for uid in self.objects.keys() - self._marked:
                self.on_delete(uid)
        self._marked = None
        self.synced = True
        self.alive()

    def alive(self) -> None:
        """Tell the followers that they are up to date."""
        self._tell(_Backlog.note_life)

    def failed(self, reason: str) -> None:
        """Tell the followers of a failure."""
        self._tell(lambda backlog: backlog.reasons.append(reason))

    def end(self) -> None:
        """Wake the followers for the last time: nothing comes any more."""
        self._tell(_Backlog.note_end)

    async def follow(self, follower: Follower[KeptT]) -> None:
        """Tell `follower` of every object until the stream ends."""
        backlog = _Backlog(set(self.objects))
        self._backlogs.add(backlog)
        try:
            follower.begin()
            complete = False
            while not backlog.ended:
                await self._drain(backlog, follower)
                if self.synced and not complete and not backlog.changed:
                    complete = True
                    follower.sweep()
                    follower.alive()
                await backlog.wait()
        finally:
            self._backlogs.discard(backlog)

    async def _drain(self, backlog: "_Backlog", follower: Follower[KeptT]) -> None:
        told = 0
        while backlog.changed:
            uid = backlog.changed.pop()
            obj = self.objects.get(uid)
            if obj is None:
                follower.on_delete(uid)
            else:
                follower.on_object(obj)
            told += 1
            if told % BREATH == 0:
                await asyncio.sleep(0)
        while backlog.reasons:
            follower.failed(backlog.reasons.pop())
        if backlog.lives:
            backlog.lives = False
            follower.alive()

    def _tell(self, note: Callable[["_Backlog"], object]) -> None:
        for backlog in self._backlogs:
            note(backlog)
            backlog.news.set()


class _Backlog:
    """What one follower has not been told yet."""

    def __init__(self, changed: set[str]) -> None:
        self.changed = changed
        self.reasons: list[str] = []
        self.lives = False
        self.ended = False
        self.news = asyncio.Event()

    def note_life(self) -> None:
        self.lives = True

    def note_end(self) -> None:
        self.ended = True

    async def wait(self) -> None:
        await self.news.wait()
        self.news.clear()
