"""What a bench found: one figure, its peer's or its limit, and whether the goal was met."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a figure stands to its goal."""

    MET = "met"
    MISSED = "missed"
    SHOWN = "shown"
    """It has no goal: it is there for people."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a bench.

    With a `peer` the ratio got / peer is judged, for ratios survive a change of machine; without
    one the figure itself is. No bound at all means that the figure is only shown.
    """

    measure: str
    """What was measured, in a few words: `gzip scrape of 10,000 pods, CPU`."""
    got: float
    unit: str
    """Unit of `got` and `peer`: `ms`, `MB`, `1/s`."""
    goal: str = ""
    """The goal's number, `G1`, where it has one."""
    peer: float | None = None
    """The same measure of whom we compare with, taken in the same run."""
    peer_name: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def judged(self) -> float:
        """Return what the bounds speak of: the ratio to the peer, or the figure."""
        return self.got if self.peer is None else self.got / self.peer

    @property
    def verdict(self) -> Verdict:
        """Say whether the goal was met."""
        if self.at_most is None and self.at_least is None:
            return Verdict.SHOWN
        too_much = self.at_most is not None and self.judged > self.at_most
        too_little = self.at_least is not None and self.judged < self.at_least
        return Verdict.MISSED if too_much or too_little else Verdict.MET

    def cells(self) -> tuple[str, ...]:
        """Return the row as it is printed: goal, measure, peer, bound, got, verdict."""
        peer = "" if self.peer is None else f"{self.peer_name} {self._figure(self.peer)}"
        got = self._figure(self.got)
        if self.peer is not None:
            got += f" ({_ratio(self.judged)})"
        return self.goal, self.measure, peer, self._bound(), got, str(self.verdict)

    def record(self) -> dict[str, str | float | None]:
        """Return the row as it is kept in a file."""
        return {
            "goal": self.goal,
            "measure": self.measure,
            "got": self.got,
            "unit": self.unit,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "at_most": self.at_most,
            "at_least": self.at_least,
            "judged": self.judged,
            "verdict": str(self.verdict),
        }

    def _figure(self, number: float) -> str:
        return f"{_number(number)} {self.unit}"

    def _bound(self) -> str:
        bounds = (("≤", self.at_most), ("≥", self.at_least))
        told = self._figure if self.peer is None else _ratio
        return ", ".join(f"{sign} {told(bound)}" for sign, bound in bounds if bound is not None)


def _number(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _ratio(ratio: float) -> str:
    return f"1/{1 / ratio:,.0f}" if 0 < ratio < 0.2 else f"{_number(ratio)}x"
