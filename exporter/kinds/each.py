"""Publishes objects one by one, which is enough for every kind that depends on no other."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from exporter.contract import Publisher, Sample

TOLD = TypeVar("TOLD")


class Each(Generic[TOLD]):
    """A handler that publishes each object under its uid."""

    def __init__(
        self,
        publisher: Publisher,
        uid: Callable[[TOLD], str],
        samples: Callable[[TOLD], Iterable[Sample]],
    ) -> None:
        self._publisher = publisher
        self._uid = uid
        self._samples = samples
        self.on_delete = publisher.delete
        self.begin = publisher.begin
        self.sweep = publisher.sweep
        self.alive = publisher.alive
        self.failed = publisher.failed

    def on_object(self, obj: TOLD) -> None:
        """Publish `obj`."""
        self._publisher.put(self._uid(obj), self._samples(obj))
