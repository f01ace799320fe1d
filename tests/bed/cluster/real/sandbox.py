"""Namespaces for a bed: whatever runs, is mounted or routed in it ends with its first process."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bed.cluster.real import guardian
from tests.bed.cluster.real.network import BEDS, Network
from tests.bed.process import BedError, Process, run_tool, wait_until

MASKED = ("/run", "/var/lib", "/var/log")
"""Where container programs keep state whatever they are told; each bed has these to itself."""
DATA = "data"
"""Folder of the home that is in memory, inside."""
UPLINK = "uplink"
NO_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "hugetlb")
SHARES = {"cpu.shares": "10240", "cpu.weight": "1000"}
"""Of the processors, for a bed's pods together: as much as ten other processes of this machine. By
default it is as much as one, and then all pods wait for what the bed itself starts beside them."""
STOPPED = (-signal.SIGTERM, -signal.SIGKILL)
"""How a process ends that was asked to."""
END_SECONDS = guardian.PATIENCE_SECONDS + 5


class Sandbox:
    """A bed's namespaces, with its network and its folder."""

    def __init__(self, network: Network, home: Path, init: int) -> None:
        self.network = network
        self.home = home
        """What needs not be kept; removed with the bed, also when its owner is killed."""
        self._init = init
        self._started: list[Process] = []

    def inside(self, *argv: str | Path) -> list[str]:
        """Return the command that runs `argv` in these namespaces."""
        enter = ["nsenter", f"--target={self._init}", "--pid", "--net", "--mount"]
        return [*enter, "--", *map(str, argv)]

    async def run(self, argv: Sequence[str | Path], *, log: Path, programs: Path) -> Process:
        """Start a program in here; it finds `programs` before all others."""
        path = f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        process = await Process.start(
            self.inside(*argv),
            log=log,
            name=log.stem,
            env={**NO_PROXY, "PATH": path},
            cwd=self.home,
        )
        self._started.append(process)
        return process

    def check(self) -> None:
        """Raise BedError with the log of a process that should run and has ended."""
        for process in self._started:
            if process.exit_code not in {None, *STOPPED}:
                raise BedError(f"{process.name} ended; its log:\n{process.tail()}")

    async def ended(self) -> None:
        """Wait for the processes, whose namespaces have ended."""
        for process in self._started:
            await process.wait(END_SECONDS)


@asynccontextmanager
async def enter(pause: Path, log: Path) -> AsyncIterator[Sandbox]:
    """Make the namespaces; all that is in them, and what belongs to them, goes with the context.

    `pause` is the program that holds them. Raises BedError when the machine refuses, and when
    something could not be removed.
    """
    flags = ["--fork", "--kill-child=KILL", "--pid", "--mount", "--net", "--mount-proc"]
    holder = await Process.start(["unshare", *flags, pause], log=log, name="namespaces")
    async with holder:
        init = await _first_process(holder, pause)
        network, name = _claim(init)
        with name:
            home = _home(network)
            sandbox = Sandbox(network, home, init)
            broom = _start_guardian(sandbox, name)
        try:
            if left := guardian.clear(network.bed, home):
                raise BedError(f"an earlier bed left what cannot be removed: {left}")
            home.mkdir(mode=0o755)
            _make_groups(network.bed)
            _connect(sandbox)
            yield sandbox
        finally:
            holder.kill()
            await sandbox.ended()
            await _dismiss(broom, network.bed)


async def _first_process(holder: Process, pause: Path) -> int:
    """Return the child that `unshare` has made, once it runs `pause`."""

    async def found() -> int:
        if holder.exit_code is not None:
            raise BedError(f"no namespaces can be made here: {holder.tail()}")
        return _child(holder.pid, pause.name)

    return await wait_until(found, 10, "the namespaces are made")


def _child(parent: int, name: str) -> int:
    """Return the child that runs the program `name`; 0 when there is none."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    return 0


def _claim(init: int) -> tuple[Network, socket.socket]:
    """Take the first number that is free, and with it the bed's name, which is the socket's.

    The kernel lets a name go when the last process that holds the socket has ended.
    """
    for number in range(BEDS):
        network = Network(number)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0{network.bed}")
        except OSError:
            name.close()
            continue
        peer = f"type veth peer name {UPLINK} netns {init}"
        done = run_tool("ip", "link", "add", network.bed, *peer.split())
        if done.returncode == 0:
            return network, name
        name.close()
        if "exists" not in done.stderr:
            raise BedError(f"no network for the bed: {done.stderr.strip()}")
    raise BedError(f"{BEDS} beds are running")


def _home(network: Network) -> Path:
    home = Path(tempfile.gettempdir()) / network.bed
    if any(home.is_relative_to(place) for place in MASKED):
        raise BedError(f"{home} is hidden inside the bed: set TMPDIR to another place")
    return home


def _start_guardian(sandbox: Sandbox, name: socket.socket) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, with nothing but its pipes and the bed's name."""
    bed, home = sandbox.network.bed, sandbox.home
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__, bed, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[name.fileno()],
    )


async def _dismiss(broom: subprocess.Popen[bytes], bed: str) -> None:
    """Let the guardian do its work. Raises BedError with what it could not remove."""
    if broom.stdin is not None:
        broom.stdin.close()

    async def done() -> bool:
        return broom.poll() is not None

    await wait_until(done, END_SECONDS, f"the guardian of {bed} ends")
    said = broom.stderr.read().decode() if broom.stderr is not None else ""
    if broom.stderr is not None:
        broom.stderr.close()
    if broom.returncode != 0:
        raise BedError(f"{bed}: {said.strip() or 'its guardian was killed'}")


def _make_groups(bed: str) -> None:
    """Make the bed's control group in every hierarchy, ready to have groups below it."""
    for root in guardian.hierarchies():
        group = root / bed
        if (root / "cgroup.controllers").exists():
            offered = (root / "cgroup.controllers").read_text().split()
            wanted = " ".join(f"+{name}" for name in CONTROLLERS if name in offered)
            (root / "cgroup.subtree_control").write_text(wanted)
            group.mkdir()
            (group / "cgroup.subtree_control").write_text(wanted)
            _weigh(group)
            continue
        group.mkdir()
        _weigh(group)
        for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, which refuses processes
            if (root / name).exists():
                (group / name).write_text((root / name).read_text())


def _weigh(group: Path) -> None:
    for name, shares in SHARES.items():
        if (group / name).exists():
            (group / name).write_text(shares)


def _connect(sandbox: Sandbox) -> None:
    """Give both ends of the link their addresses, and the inside its routes and its own mounts."""
    network, bed = sandbox.network, sandbox.network.bed
    _succeed(
        ["ip", "-batch", "-"],
        f"address add {network.host}/30 dev {bed}\n"
        f"link set {bed} up\n"
        f"route add {network.pods} via {network.node}\n"
        f"route add {network.services} via {network.node}\n",
    )
    masks = "\n".join(f"mount -t tmpfs -o mode=755 bed {place}" for place in MASKED)
    data = sandbox.home / DATA
    data.mkdir()
    script = f"""
        {masks}
        mount -t tmpfs -o mode=755,size=80% bed {data}
        ip link set lo up
        ip address add {network.node}/30 dev {UPLINK}
        ip link set {UPLINK} up
        echo 1 > /proc/sys/net/ipv4/ip_forward
    """
    _succeed(sandbox.inside("/bin/sh", "-e"), script)


def _succeed(argv: list[str], text: str) -> None:
    done = run_tool(*argv, stdin=text)
    if done.returncode != 0:
        raise BedError(f"{' '.join(argv)}: {done.stderr.strip()}")
