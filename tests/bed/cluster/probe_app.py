"""`python -m tests.bed.cluster.probe_app --tag TAG`: the smallest thing a pod can run.

Image `probe-app`. It answers `/` with its tag and its pod's name; `/crash` ends it with code 3. Tag
`crash` ends so at once, after a line of output; tag `sick` serves, but its `/health` says 503.
"""

import argparse
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override


class Answers(BaseHTTPRequestHandler):
    """Answers every GET."""

    tag = ""

    def do_GET(self) -> None:
        """Answer with the tag, or with this tag's ill health."""
        if self.path == "/crash":
            print("asked to crash", flush=True)
            os._exit(3)
        sick = self.tag == "sick" and self.path == "/health"
        self.send_response(503 if sick else 200)
        self.end_headers()
        self.wfile.write(f"{self.tag} {os.environ.get('HOSTNAME', '')}\n".encode())

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


def main() -> None:
    """Serve until SIGTERM."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tag", required=True)
    tag = Answers.tag = arguments.parse_args().tag
    print(f"probe-app {tag} {os.environ.get('GREETING', '')}", flush=True)
    if tag == "crash":
        print("cannot go on", flush=True)
        sys.exit(3)
    address = os.environ.get("POD_IP", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    server = ThreadingHTTPServer(address, Answers)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
