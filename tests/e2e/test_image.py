"""The image of both programs, in a pod that is allowed as little as the chart's."""

import json
import re

import pytest
from packaging.utils import canonicalize_name

from tests.bed.cluster.client import at
from tests.bed.settings import HOME
from tests.e2e.conftest import Anywhere

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def run(anywhere: Anywhere, namespace: str, *command: str) -> tuple[int, str]:
    """Run a command in the image; return its exit code and what it said."""
    container = {"name": "main", "image": anywhere.image, "securityContext": RESTRICTED}
    spec = {"containers": [{**container, "command": list(command)}], "restartPolicy": "Never"}
    metadata = {"name": "one", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    mine = ("-n", namespace)
    anywhere.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated}"
    anywhere.kubectl("wait", ended, "pod/one", "--timeout=60s", *mine)
    found = json.loads(anywhere.kubectl("get", "pod", "one", "-o", "json", *mine))
    said = anywhere.kubectl("logs", "one", *mine)
    code = at(found, "status.containerStatuses.0.state.terminated.exitCode")
    return int(str(code)), said


@pytest.mark.parametrize("program", ["kpi-exporter", "alert-responder"])
async def test_both_programs_run_without_root_on_a_read_only_file_system(
    anywhere: Anywhere, namespace: str, program: str
) -> None:
    code, said = run(anywhere, namespace, program, "--help")
    assert code == 0, said
    assert "serve" in said


async def test_the_image_can_neither_be_written_to_nor_build_anything(
    anywhere: Anywhere, namespace: str
) -> None:
    checks = "id -u; touch /opt/x /usr/x; command -v gcc cc c++ make pip; exit 0"
    code, said = run(anywhere, namespace, "sh", "-c", checks)
    assert code == 0
    user, *lines = said.splitlines()
    assert int(user) > 0
    assert [line for line in lines if "Read-only file system" not in line] == []
    assert len(lines) == 2


async def test_the_image_holds_what_the_lock_names_and_nothing_else(
    anywhere: Anywhere, namespace: str
) -> None:
    listing = (
        "from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]"
    )
    code, said = run(anywhere, namespace, "python3", "-c", listing)
    assert code == 0, said
    there = {
        (canonicalize_name(name), version) for name, version in map(str.split, said.splitlines())
    }
    locked = (HOME / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==([\w.]+)( ;)?", locked, re.MULTILINE)
    assert len(pins) > 20
    named = {(name, version) for name, version, _ in pins}
    assert [name for name, _ in there - named] == ["runbookd"]
    assert {(name, version) for name, version, somewhere in pins if not somewhere} <= there
