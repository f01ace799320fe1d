"""Lists all objects of one kind, page by page, where a watch would be more than is needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from exporter.ports import ApiServer
from exporter.shared.errors import PermanentError
from exporter.watch.objects import Page, View

T = TypeVar("T")

PAGE = 250
"""Objects a page, as the reflector's: one page blocks the loop for less than 20 ms."""


class Bare(View, Generic[T], frozen=True):
    """An object of which only the metadata came (PartialObjectMetadata)."""

    metadata: T


class ManagedFields(View, frozen=True):
    """What one field manager last wrote, and when."""

    time: datetime | None = None
    fields_v1: dict[str, msgspec.Raw] | None = None


class Kept(View, frozen=True):
    """The metadata of a Secret or a ConfigMap.

    Annotations are left where they are: `kubectl apply` writes the whole object into one of them,
    with all that is secret in it.
    """

    name: str = ""
    namespace: str = ""
    creation_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    managed_fields: list[ManagedFields] | None = None

    @property
    def data_changed(self) -> datetime | None:
        """When a field manager last wrote the data, or else when the object was created."""
        written = (one for one in self.managed_fields or () if "f:data" in (one.fields_v1 or ()))
        times = (self.creation_timestamp, *(one.time for one in written))
        return max((time for time in times if time is not None), default=None)


async def every(
    kube: ApiServer,
    path: str,
    kind: type[T],
    query: Mapping[str, str] | None = None,
    *,
    page: int = PAGE,
) -> list[T]:
    """Return all objects at `path`, decoded as `kind`; large ones take fewer a page.

    Raises TransientError or PermanentError as `kube.list` does, GoneError when the listing took
    longer than the server keeps it, PermanentError when a page cannot be read.
    """
    asked = {**(query or {}), "limit": str(page)}
    return [one async for page_ in _pages(kube.list, path, kind, asked) for one in page_]


def every_page(kube: ApiServer, path: str, kind: type[T]) -> AsyncIterator[list[T]]:
    """Yield all objects at `path`, a page at a time: they need not all be kept. Raises so, too."""
    return _pages(kube.list, path, kind, {"limit": str(PAGE)})


async def every_metadata(
    kube: ApiServer, path: str, kind: type[T], query: Mapping[str, str] | None = None
) -> list[T]:
    """Return the metadata of all objects at `path`, decoded as `kind`. Raises as `every` does."""
    bare: type[Bare[T]] = Bare[kind]  # type: ignore[valid-type]  # built at run time
    asked = {**(query or {}), "limit": str(PAGE)}
    return [one.metadata async for page in _pages(kube.metadata, path, bare, asked) for one in page]


async def _pages(
    read: Callable[[str, Mapping[str, str]], Awaitable[bytes]],
    path: str,
    kind: type[T],
    query: Mapping[str, str],
) -> AsyncIterator[list[T]]:
    decoder = msgspec.json.Decoder(Page[kind])  # type: ignore[valid-type]  # built at run time
    further = dict(query)
    while True:
        body = await read(path, further)
        try:
            page = decoder.decode(body)
        except msgspec.DecodeError as error:
            raise PermanentError(f"a page of {path} cannot be read: {error}") from error
        yield page.items or []
        if not page.metadata.continue_:
            return
        further["continue"] = page.metadata.continue_
        await asyncio.sleep(0)
