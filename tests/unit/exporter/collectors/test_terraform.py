"""The collector on what OpenTofu 1.12.6 wrote, and on copies of real folders."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.collectors.terraform import (
    SPEC,
    Directory,
    Settings,
    copied,
    counted,
    environment,
    plan_samples,
)
from exporter.command_port import Finished
from exporter.contract import Collected, PolledSource
from exporter.shared.errors import PermanentError, TransientError
from tests.fake_clients import FakeClients, lines
from tests.json_fields import changed, paths

RECORDED = Path(__file__).with_name("tofu_plan.jsonl").read_bytes().splitlines()
OUTSIDE = (
    b'{"@level":"info","type":"resource_drift","change":{"resource":{"addr":"aws_s3_bucket.b"},'
    b'"action":"update"}}'
)
LINE = json.loads(RECORDED[-2])
HERE = 'directory="shop",var_file="dev.tfvars"'


def test_a_plan_is_counted_by_kind_of_change() -> None:
    found = plan_samples(("shop", "dev.tfvars"), Finished(2, [*RECORDED, OUTSIDE]))
    assert lines(Collected(list(found))) == [
        f"kpi_terraform_drift{{{HERE}}} 1",
        f'kpi_terraform_planned_changes{{{HERE},change="create"}} 0',
        f'kpi_terraform_planned_changes{{{HERE},change="update"}} 1',
        f'kpi_terraform_planned_changes{{{HERE},change="replace"}} 1',
        f'kpi_terraform_planned_changes{{{HERE},change="delete"}} 0',
        f'kpi_terraform_planned_changes{{{HERE},change="Other"}} 0',
        f'kpi_terraform_changed_outside{{{HERE},change="create"}} 0',
        f'kpi_terraform_changed_outside{{{HERE},change="update"}} 1',
        f'kpi_terraform_changed_outside{{{HERE},change="replace"}} 0',
        f'kpi_terraform_changed_outside{{{HERE},change="delete"}} 0',
        f'kpi_terraform_changed_outside{{{HERE},change="Other"}} 0',
    ]


def test_a_plan_without_changes_is_no_drift() -> None:
    drift, *changes = plan_samples(("shop", ""), Finished(0, ()))
    assert drift.value == 0
    assert {sample.value for sample in changes} == {0}


def test_an_action_that_nobody_listed_becomes_other_and_reading_is_no_change() -> None:
    line = b'{"type":"planned_change","change":{"action":"%s"}}'
    found = counted([line % action for action in (b"forget", b"read", b"noop", b"create")])
    assert found["planned_change"] == {"Other": 1, "create": 1}


@pytest.mark.parametrize("path", list(paths(LINE)), ids=str)
def test_any_field_of_a_line_may_be_missing(path: tuple[object, ...]) -> None:
    line = json.dumps(changed(LINE, path)).encode()
    found = counted([line, b"no JSON", b"[]", b'{"type": 1}'])
    assert sum(found["planned_change"].values()) in (0, 1)


def test_the_program_sees_of_the_environment_what_was_allowed() -> None:
    own = {"PATH": "/bin", "AWS_PROFILE": "plan", "DATABASE_URL": "secret", "TF_CLI_ARGS": "-x"}
    assert environment(own, ("AWS_PROFILE", "AWS_REGION")) == {
        "PATH": "/bin",
        "AWS_PROFILE": "plan",
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }


def a_module(tmp_path: Path, *, initialised: bool = True) -> Path:
    """Write a repository with modules beside the environments, as the guide's is laid out."""
    folder = tmp_path / "repository" / "environments"
    (tmp_path / "repository" / "modules" / "vpc").mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    folder.mkdir()
    (folder / "main.tf").write_text("")
    (folder / "terraform.tfstate").write_text("{}")
    if initialised:
        (folder / ".terraform" / "providers" / "aws").mkdir(parents=True)
        (folder / ".terraform" / "terraform.tfstate").write_text("{}")
    return folder


def plan_of(clients: FakeClients, **directory: object) -> PolledSource:
    settings = Settings(directories=(Directory.model_validate({"name": "shop", **directory}),))
    (source,) = SPEC.sources(settings, clients)
    assert isinstance(source, PolledSource)
    return source


async def test_a_plan_runs_on_a_copy_that_is_gone_afterwards(tmp_path: Path) -> None:
    clients = FakeClients()
    clients.commands.ends["plan"] = Finished(2, RECORDED)
    folder = a_module(tmp_path)
    source = plan_of(clients, path=folder, var_files=["dev.tfvars"])
    assert source.name == "shop/dev.tfvars"
    found = lines(await source.collect())
    assert found[0] == f"kpi_terraform_drift{{{HERE}}} 1"
    assert found[-1] == f"kpi_terraform_run_seconds{{{HERE}}} 0"
    ((argv, where, _),) = clients.commands.ran
    assert argv == (
        *("terraform", "plan", "-lock=false", "-detailed-exitcode", "-json", "-input=false"),
        *("-refresh=true", "-var-file=dev.tfvars"),
    )
    assert where != folder
    assert not where.exists()


async def test_a_folder_without_init_is_initialised_in_the_copy(tmp_path: Path) -> None:
    clients = FakeClients()
    folder = a_module(tmp_path, initialised=False)
    await plan_of(clients, path=folder, root=folder.parent).collect()
    assert [argv[1] for argv, _, _ in clients.commands.ran] == ["init", "plan"]
    assert {where.name for _, where, _ in clients.commands.ran} == {"environments"}
    assert not (folder / ".terraform").exists()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [(1, PermanentError, r"failed \(1\); run it there"), (-9, TransientError, "ended by signal 9")],
)
async def test_a_plan_that_fails_says_nothing_of_what_it_wrote(
    tmp_path: Path, code: int, error: type[Exception], said: str
) -> None:
    clients = FakeClients()
    clients.commands.ends["plan"] = Finished(code, [b'{"@message":"password is hunter2"}'])
    with pytest.raises(error, match=said) as raised:
        await plan_of(clients, path=a_module(tmp_path)).collect()
    assert "hunter2" not in str(raised.value)
    assert not any(where.exists() for _, where, _ in clients.commands.ran)


def test_a_copy_has_all_but_the_history_and_links_the_providers(tmp_path: Path) -> None:
    folder = a_module(tmp_path)
    copy = tmp_path / "copy"
    copied(folder.parent, copy, 1_000_000)
    found = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert found == {
        *("environments", "environments/main.tf", "environments/terraform.tfstate"),
        *("environments/.terraform", "environments/.terraform/terraform.tfstate"),
        *("environments/.terraform/providers", "modules", "modules/vpc"),
    }
    providers = copy / "environments" / ".terraform" / "providers"
    assert providers.readlink() == folder / ".terraform" / "providers"


def test_a_folder_that_is_too_large_is_not_copied(tmp_path: Path) -> None:
    folder = a_module(tmp_path)
    (folder / "large").write_bytes(b"x" * 100_000)
    with pytest.raises(PermanentError, match="max_copy_bytes"):
        copied(folder, tmp_path / "copy", 50_000)


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be copied: FileNotFoundError"):
        copied(tmp_path / "else", tmp_path / "copy", 1)


def test_modules_must_lie_in_the_root(tmp_path: Path) -> None:
    outside = {"name": "shop", "path": tmp_path, "root": tmp_path / "a"}
    with pytest.raises(ValidationError, match="does not hold path"):
        Directory.model_validate(outside)


def test_each_file_of_values_is_a_source_with_time_for_all(tmp_path: Path) -> None:
    shop = {"name": "shop", "path": tmp_path, "var_files": ["a", "b"]}
    settings = Settings.model_validate({"directories": [shop, {"name": "dns", "path": tmp_path}]})
    sources = SPEC.sources(settings, FakeClients())
    assert [source.name for source in sources] == ["shop/a", "shop/b", "dns"]
    assert all(
        isinstance(source, PolledSource) and source.timeout >= 3 * settings.timeout
        for source in sources
    )
