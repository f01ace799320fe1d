"""What a scenario tells while it happens: each step once, with the seconds since the cause."""

from dataclasses import dataclass, field

from rich.console import Console

from exporter.shared.clock import Clock
from tests.bed import watch
from tests.bed.bed import Bed

out = Console(soft_wrap=True, highlight=False)

SHOWN = {
    "alert_firing": "detected",
    "applied": "acted",
    "verified": "verified",
    "incident_resolved": "over",
}
"""Facts of an incident whose times are shown, and what they are called then."""
HEAD = f"{'scenario':<22} {'factor':>6} " + " ".join(f"{title:>8}" for title in SHOWN.values())


@dataclass
class Story:
    """Prints what happens, with the seconds since the cause."""

    clock: Clock
    began: float = 0.0
    seen: set[str] = field(default_factory=set)
    times: dict[str, float] = field(default_factory=dict)
    about: str = watch.TASK_MANAGER
    """Target of the incident that is told."""
    label: str = ""
    """What each line begins with, where several stories are told at a time."""
    lines: list[str] = field(default_factory=list)
    """What was told so far, in its order."""

    def cause(self, text: str) -> None:
        """Start the clock: this is what went wrong."""
        self.began = self.clock.monotonic()
        self.tell("cause", text)

    def tell(self, name: str, text: str, *, style: str = "") -> None:
        """Print one step, the first time it is told."""
        if name in self.seen:
            return
        self.seen.add(name)
        elapsed = self.clock.monotonic() - self.began if self.began else 0.0
        self.times.setdefault(name, elapsed)
        stamp = f"{elapsed:6.1f} s " if self.began else "         "
        self.lines.append(f"{stamp}{text}")
        out.print(f"{self.label:<16}" if self.label else "", end="")
        out.print(stamp, style="dim", end="")
        out.print(text, style=style or None, markup=False)

    async def look(self, bed: Bed, kpi: str) -> None:
        """Tell what is new: the KPI, the alerts, and every fact of the incidents' timelines."""
        if not await watch.within(bed, kpi):
            self.tell("kpi", f"{kpi} has left its target", style="yellow")
        for alert in await bed.prometheus.alerts():
            name = f"{alert.labels['alertname']} {alert.state}"
            subject = next((alert.labels[key] for key in SUBJECTS if key in alert.labels), "")
            self.tell(f"alert {name} {subject}", f"alert {name}: {subject}", style="yellow")
        for fact in await watch.timeline(bed, self.about):
            self.tell(f"{fact['at']}{fact['text']}", f"{fact['phase']}: {fact['text']}")
            self.times.setdefault(str(fact["kind"]), self.clock.monotonic() - self.began)

    def row(self, name: str, factor: float) -> str:
        """Return the line below `HEAD`: when it was detected, acted upon, verified and over."""
        times = [f"{self.times[kind]:.1f}" if kind in self.times else "-" for kind in SHOWN]
        return f"{name:<22} {factor:>6g} " + " ".join(f"{time:>8}" for time in times)


SUBJECTS = ("workload", "node", "database", "source")
"""Labels that name what an alert is about, the first that is there."""
