"""`python -m tests.bed.task_manager --tag v3`: the sample application as a process."""

import argparse
import os

from aiohttp import web

from tests.bed.task_manager import app, frontend
from tests.bed.task_manager.behaviour import BEHAVIOURS


def main() -> None:
    """Serve until SIGTERM; every setting comes from the environment, as in a container."""
    arguments = argparse.ArgumentParser(description="the bed's sample application")
    arguments.add_argument("--tag", choices=sorted(BEHAVIOURS), default="v3")
    arguments.add_argument("--frontend", action="store_true", help="serve the page instead")
    arguments.add_argument("--host", default=os.environ.get("POD_IP", "127.0.0.1"))
    arguments.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    chosen = arguments.parse_args()
    if chosen.frontend:
        made = frontend.create(os.environ.get("BACKEND_URL", "http://task-manager:8000"))
    else:
        made = app.create(BEHAVIOURS[chosen.tag], os.environ.get("DATABASE_URL", ""))
    name = "task-manager-frontend" if chosen.frontend else "task-manager"
    print(f"{name} {chosen.tag} on {chosen.host}:{chosen.port}", flush=True)
    web.run_app(
        made, host=chosen.host, port=chosen.port, print=None, access_log=None, shutdown_timeout=1
    )


if __name__ == "__main__":
    main()
