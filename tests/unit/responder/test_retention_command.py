"""`alert-responder retention` looks, and changes nothing."""

from pathlib import Path

from typer.testing import CliRunner

from responder.cli import app


def test_without_a_store_it_says_so_and_leaves_none_behind(tmp_path: Path) -> None:
    settings, folder = tmp_path / "responder.yaml", tmp_path / "state"
    folder.mkdir()
    settings.write_text(f"policies: policies\ndata_dir: {folder}\n")
    ran = CliRunner().invoke(app, ["retention", "--config", str(settings)])
    assert ran.exit_code == 1
    assert f"there is no store at {folder}/responder.db" in ran.stderr
    assert list(folder.iterdir()) == []
