"""`python -m tests.bed.cluster.simulated ROOT`: the simulated cluster as a process."""

import argparse
import asyncio
import json
import logging
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from aiohttp import web

from exporter.shared.clock import SystemClock
from tests.bed.cluster.simulated.addresses import Addresses
from tests.bed.cluster.simulated.containers import Node
from tests.bed.cluster.simulated.controllers import Controllers
from tests.bed.cluster.simulated.faults import Audit
from tests.bed.cluster.simulated.kinds import NAMESPACE
from tests.bed.cluster.simulated.kubelet import Kubelet
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.routes import ApiServer
from tests.bed.cluster.simulated.services import Services
from tests.bed.cluster.simulated.store import Store

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def write_kubeconfig(path: Path, server: str) -> None:
    """Write the file in one step, so that its being there means that the server listens."""
    name = "simulated"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(config, indent=1))  # JSON is YAML
    draft.rename(path)


async def serve(root: Path, backoff: float) -> None:
    """Run the cluster until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        addresses = Addresses()
        stack.callback(addresses.close)
        store = Store(SystemClock())
        recorder = Recorder(store)
        node = Node(store, recorder, session, {}, root / "pods", backoff)
        kubelet = Kubelet(node, addresses)
        for namespace in NAMESPACES:
            status = {"phase": "Active"}
            store.create(NAMESPACE, {"metadata": {"name": namespace}, "spec": {}, "status": status})
        kubelet.start()
        stack.push_async_callback(kubelet.stop)
        for part in (Controllers(store, recorder), Services(store, recorder)):
            task = asyncio.create_task(part.run())
            stack.callback(task.cancel)
        server = ApiServer(store, kubelet, addresses, Audit(root / "audit.jsonl"))
        runner = web.AppRunner(
            server.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        write_kubeconfig(root / "kubeconfig", f"http://127.0.0.1:{runner.addresses[0][1]}")
        await stopped.wait()


def main() -> None:
    """Read the arguments and serve."""
    arguments = argparse.ArgumentParser(description="the bed's simulated cluster")
    arguments.add_argument("root", type=Path)
    arguments.add_argument("--backoff", type=float, default=10.0, help="seconds; the kubelet's 10")
    chosen = arguments.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(chosen.root, chosen.backoff))


if __name__ == "__main__":
    main()
