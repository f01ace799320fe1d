"""Reads the metric pages of an application's pods: quick where lines repeat, strict where not.

All pods of an application write the same lines with other values. So a line is looked up by what
stands before its value; only a line never seen is parsed, by prometheus_client, which thereby
decides what is legal. Measured: 0.8 µs a known line against 54 µs in the parser.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from exporter.shared.errors import PermanentError

ABSENT = -1.0
"""Value of a slot whose line the page does not hold; counters are never negative."""

UNWANTED = -1
"""Slot of lines that count towards nothing."""

Page: TypeAlias = "array[float]"
"""Values of one page by slot, ABSENT where there is none; may be shorter than there are slots."""

TargetT = TypeVar("TargetT")


class PageError(PermanentError):
    """The page is not one that we can read; the pod's numbers stay as they were."""


class PageReader(Generic[TargetT]):
    """Knows the lines of one application's pages.

    `classify(name, labels)` says what a sample counts towards, or None when it is not wanted; it is
    asked once for each line. Lines that do not begin with `prefix` are never looked at.
    """

    def __init__(
        self,
        prefix: str,
        classify: Callable[[str, Mapping[str, str]], TargetT | None],
        *,
        max_slots: int = 50_000,
    ) -> None:
        self._prefix = prefix.encode()
        self._classify = classify
        self._max_slots = max_slots
        self._slots: dict[bytes, int] = {}
        self._stamped: dict[bytes, int] = {}
        self._targets: list[TargetT] = []

    @property
    def targets(self) -> Sequence[TargetT]:
        """What each slot counts towards."""
        return self._targets

    def blank(self) -> Page:
        """Return a page on which nothing was read yet."""
        return array("d", (ABSENT,)) * len(self._targets)

    def read(self, lines: Iterable[bytes], page: Page) -> None:
        """Put the values of `lines` on `page`. Raises PageError for a line that is not legal.

        A page may be read in several slices, so that learning one does not hold up the loop.
        """
        slots, prefix = self._slots, self._prefix
        for line in lines:
            if not line.startswith(prefix):
                continue
            key, _, text = line.rpartition(b" ")
            slot = slots.get(key)
            if slot is None:
                slot, text = self._unknown(line, key)
            if slot == UNWANTED:
                continue
            try:
                page[slot] = float(text)
            except IndexError:
                page.extend((ABSENT,) * (len(self._targets) - len(page)))
                page[slot] = float(text)
            except ValueError as error:
                raise PageError(f"not a number: {line[:200]!r}") from error

    def finish(self, page: Page) -> Page:
        """Return `page` when every value on it is finite, else raise PageError."""
        if not math.isfinite(sum(page)):
            raise PageError("a counter is not finite")
        return page

    def _unknown(self, line: bytes, key: bytes) -> tuple[int, bytes]:
        """Return slot and value text of a line whose beginning is not known."""
        earlier, _, text = key.rpartition(b" ")
        slot = self._stamped.get(earlier)
        return (slot, text) if slot is not None else self._learn(line)

    def _learn(self, line: bytes) -> tuple[int, bytes]:
        """Parse a line that was never seen and give it a slot."""
        try:
            samples = [
                sample
                for family in text_string_to_metric_families(line.decode() + "\n")
                for sample in family.samples
            ]
        except (ValueError, KeyError, IndexError) as error:
            raise PageError(f"not a line of the text format: {line[:200]!r}") from error
        if len(samples) != 1 or len(self._slots) + len(self._stamped) >= self._max_slots:
            raise PageError(f"not one sample, or one too many: {line[:200]!r}")
        sample = samples[0]
        known = self._slots
        key, _, text = line.rpartition(b" ")
        if sample.timestamp is not None:
            known = self._stamped
            key, _, text = key.rpartition(b" ")
        if not _says(text, sample.value):  # legal, but set with tabs or blanks that no library uses
            raise PageError(f"not written as libraries do: {line[:200]!r}")
        target = self._classify(sample.name, sample.labels)
        known[key] = UNWANTED if target is None else len(self._targets)
        if target is not None:
            self._targets.append(target)
        return known[key], text


def _says(text: bytes, value: float) -> bool:
    """Say whether `text` is the number `value`."""
    try:
        number = float(text)
    except ValueError:
        return False
    return number == value or (math.isnan(number) and math.isnan(value))
