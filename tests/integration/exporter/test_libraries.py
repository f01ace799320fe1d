"""Who asks nothing of a system does not pay for its library."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES_OF_ALL = """
import sys
from pathlib import Path
from exporter.app import collectors, open_clients, read_settings
from exporter.shared.clock import SystemClock

specs = collectors()
settings = read_settings(Path("exporter/example.yaml"), {}, specs)
clients = open_clients(settings, SystemClock())
for name, spec in specs.items():
    spec.sources(getattr(settings.collectors, name), clients)
slow = ("aioboto3", "botocore", "kubernetes_asyncio", "asyncpg")
print([name for name in slow if name in sys.modules])
"""


def test_sources_are_made_without_loading_what_they_will_speak_through() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SOURCES_OF_ALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
