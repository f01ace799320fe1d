"""The terraform collector with a real OpenTofu, on real folders."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from exporter.clients.open import OpenClients
from exporter.collectors.terraform import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from tests.bed import opentofu
from tests.fake_clients import lines

pytestmark = pytest.mark.timeout(900)  # the first run builds the program

MODULE = """
variable "owner" {
  type    = string
  default = "team"
}

resource "terraform_data" "kept" {
  input = "same"
}

resource "terraform_data" "changed" {
  input = var.owner
}
"""
PLANNED = "kpi_terraform_planned_changes"


@pytest.fixture(scope="module")
def tofu() -> Path:
    return opentofu.program()


@pytest_asyncio.fixture
async def clients() -> AsyncIterator[OpenClients]:
    opened = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def folder(tofu: Path, tmp_path: Path) -> Path:
    """Return a root module whose infrastructure is what it says."""
    made = tmp_path / "module"
    made.mkdir()
    (made / "main.tf").write_text(MODULE)
    (made / "other.tfvars").write_text('owner = "another"\n')
    for verb in (("init",), ("apply", "-auto-approve")):
        subprocess.run([tofu, *verb, "-input=false"], cwd=made, check=True, capture_output=True)
    return made


def plan(
    clients: OpenClients, tofu: Path, folder: Path, *var_files: str, timeout: str = "5m"
) -> PolledSource:
    directory = {"name": "shop", "path": folder, "var_files": var_files}
    document = {"program": str(tofu), "directories": [directory], "timeout": timeout}
    (source,) = SPEC.sources(Settings.model_validate(document), clients)
    assert isinstance(source, PolledSource)
    return source


def left(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def test_infrastructure_as_described_has_no_drift_and_the_folder_stays_as_it_was(
    clients: OpenClients, tofu: Path, folder: Path
) -> None:
    before = left(folder)
    found = lines(await plan(clients, tofu, folder).collect())
    assert found[0] == 'kpi_terraform_drift{directory="shop",var_file=""} 0'
    assert left(folder) == before


async def test_other_values_are_drift_by_kind_of_change(
    clients: OpenClients, tofu: Path, folder: Path
) -> None:
    here = 'directory="shop",var_file="other.tfvars"'
    before = left(folder)
    found = lines(await plan(clients, tofu, folder, "other.tfvars").collect())
    assert found[0] == f"kpi_terraform_drift{{{here}}} 1"
    assert f'{PLANNED}{{{here},change="update"}} 1' in found
    assert f'{PLANNED}{{{here},change="create"}} 0' in found
    assert left(folder) == before


async def test_what_is_gone_from_the_state_is_to_be_created(
    clients: OpenClients, tofu: Path, folder: Path
) -> None:
    (folder / "terraform.tfstate").unlink()
    found = lines(await plan(clients, tofu, folder).collect())
    assert f'{PLANNED}{{directory="shop",var_file="",change="create"}} 2' in found


async def test_a_module_with_a_mistake_is_a_failure_and_no_drift(
    clients: OpenClients, tofu: Path, folder: Path
) -> None:
    (folder / "main.tf").write_text(MODULE + 'resource "nope" {')
    shutil.rmtree(folder / ".terraform", ignore_errors=True)
    with pytest.raises(PermanentError, match=r"failed \(1\)"):
        await plan(clients, tofu, folder).collect()


async def test_a_state_that_nobody_hands_out_is_not_waited_for(
    clients: OpenClients, tofu: Path, folder: Path
) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # until whoever asked is gone
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        backend = f'terraform {{ backend "http" {{ address = "http://127.0.0.1:{port}" }} }}'
        (folder / "backend.tf").write_text(backend.replace("{ ", "{\n").replace(" }", "\n}"))
        (folder / "terraform.tfstate").unlink()
        with pytest.raises(TransientError, match="tofu took longer than 0:00:01"):
            await plan(clients, tofu, folder, timeout="1s").collect()
    assert asked.is_set()
