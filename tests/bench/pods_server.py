"""An API server with many pods, as a program: `python -m tests.bench.pods_server FOLDER COUNT`.

It writes FOLDER/port, answers lists and watches from bytes made beforehand, and does on POST what
no API server does on demand: `/_events?count=N` makes N pods ready or not, one event each, in every
open watch of pods, and adds a pod; `/_relist?gone=N` takes the last N pods away, unseen, and sends
open watches away with 410; `/_watches` says how many are open.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from aiohttp import web

from tests.kube_cases import DATA, recorded

PER_DEPLOYMENT = 10
HASH = "75958fdd7c"
READY = '"type":"Ready","observedGeneration":1,"status":"True"'
BATCH = 200
"""Events a write: about 2 MB, so that neither end waits for the other's buffer."""


def pod(number: int, *, ready: bool = True) -> bytes:
    """Return a pod of a Deployment of ten."""
    of = number // PER_DEPLOYMENT
    changed = PodTemplate.text.replace("task-manager-75958fdd7c-ll2qr", f"app-{of}-{HASH}-{number}")
    changed = changed.replace(PodTemplate.uid, f"00000000-0000-0000-0000-{number:012d}")
    changed = changed.replace(PodTemplate.owner, f"11111111-0000-0000-0000-{of:012d}")
    changed = changed.replace(f'"task-manager-{HASH}"', f'"app-{of}-{HASH}"')
    if not ready:
        changed = changed.replace(READY, READY.replace("True", "False"))
    return changed.encode()


class PodTemplate:
    """The recorded pod, as the API server sent it: one line of 8.5 kB."""

    text = (DATA / "pod_whole.json").read_text().strip()
    uid = json.loads(text)["metadata"]["uid"]
    owner = json.loads(text)["metadata"]["ownerReferences"][0]["uid"]


def replica_set(of: int) -> bytes:
    """Return the ReplicaSet of ten pods."""
    raw = recorded("replica_sets")[0]
    raw["metadata"] |= {  # type: ignore[operator]  # JSON
        "name": f"app-{of}-{HASH}",
        "uid": f"11111111-0000-0000-0000-{of:012d}",
        "ownerReferences": [
            {"kind": "Deployment", "name": f"app-{of}", "uid": f"d-{of}", "controller": True}
        ],
    }
    return json.dumps(raw, separators=(",", ":")).encode()


def event(kind: str, obj: bytes) -> bytes:
    """Return one line of a watch."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), obj)


LISTED = event(
    "BOOKMARK",
    b'{"metadata":{"resourceVersion":"10","annotations":{"k8s.io/initial-events-end":"true"}}}',
)
TOO_OLD = event("ERROR", b'{"kind":"Status","code":410,"message":"too old resource version"}')


class PodsServer:
    """The pods, and the watches that are open."""

    def __init__(self, count: int) -> None:
        self.objects = {
            "/api/v1/pods": [pod(number) for number in range(count)],
            "/apis/apps/v1/replicasets": [
                replica_set(of) for of in range((count + PER_DEPLOYMENT - 1) // PER_DEPLOYMENT)
            ],
        }
        self.watches: set[asyncio.Queue[bytes]] = set()
        self._ready = True

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.router.add_post("/_events", self._events)
        app.router.add_post("/_relist", self._relist)
        app.router.add_post("/_watches", self._open)
        app.router.add_get("/{path:.*}", self._get)
        return app

    async def _events(self, request: web.Request) -> web.Response:
        """Change `count` pods, and add one by which a client knows that it has seen all."""
        count = int(request.query["count"])
        pods = self.objects["/api/v1/pods"]
        self._ready = not self._ready
        lines = [event("MODIFIED", pod(number, ready=self._ready)) for number in range(count)]
        pods.append(pod(len(pods)))
        lines.append(event("ADDED", pods[-1]))
        for start in range(0, len(lines), BATCH):
            for watch in self.watches:
                watch.put_nowait(b"".join(lines[start : start + BATCH]))
        return web.Response(text=str(count))

    async def _relist(self, request: web.Request) -> web.Response:
        pods = self.objects["/api/v1/pods"]
        del pods[len(pods) - int(request.query["gone"]) :]
        for watch in self.watches:
            watch.put_nowait(TOO_OLD)
            watch.put_nowait(b"")
        return web.Response(text=str(len(pods)))

    async def _open(self, _request: web.Request) -> web.Response:
        return web.Response(text=str(len(self.watches)))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        objects = self.objects.get(request.path, [])
        if request.path in {"/readyz", "/version"}:
            return web.Response(text="{}")
        if request.query.get("watch", "").lower() != "true":
            items = b",".join(objects)
            body = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10"},'
            body += b'"items":[%s]}' % items
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if "sendInitialEvents" in request.query:
            for start in range(0, len(objects), BATCH):
                batch = objects[start : start + BATCH]
                await response.write(b"".join(event("ADDED", one) for one in batch))
            await response.write(LISTED)
        await self._follow(request, response)
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        if request.path == "/api/v1/pods":
            self.watches.add(queue)
        try:
            while chunk := await queue.get():
                await response.write(chunk)
        finally:
            self.watches.discard(queue)


async def serve(folder: Path, count: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(PodsServer(count).application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (folder / "port").write_text(str(runner.addresses[0][1]))
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    args = parser.parse_args()
    asyncio.run(serve(args.folder, args.count))


if __name__ == "__main__":
    main()
