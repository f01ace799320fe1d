"""How benches measure on a machine that is shared: CPU time, interleaved; memory as a whole."""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of this process, user and system, that `work` takes, in milliseconds."""
    began = process_time()
    work()
    return (process_time() - began) * 1000


def interleaved(*works: Callable[[], object], times: int = 5) -> tuple[float, ...]:
    """Return the median CPU milliseconds of each work, run in turn so that all meet the same noise.

    Each runs once before it is measured.
    """
    for work in works:
        work()
    taken = [[cpu_ms(work) for work in works] for _ in range(times)]
    return tuple(median(of_one) for of_one in zip(*taken, strict=True))


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time, user and system, that a process has used so far."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int | None = None) -> float:
    """Return the resident memory of a process, by default this one, in MB of 10^6 bytes."""
    pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_rss_mb(pid: int | None = None) -> float:
    """Return the most resident memory that a process has had, in MB of 10^6 bytes."""
    status = Path(f"/proc/{pid or 'self'}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def forget_peak() -> None:
    """Let the peak of this process count from now on (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
