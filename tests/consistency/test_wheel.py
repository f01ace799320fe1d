"""What is built is what runs: the wheel carries every file that the programs read when they run."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ_AT_RUN_TIME = (
    "responder/web/templates/*.html",
    "responder/web/static/*",
    "responder/store/migrations/**/*.py",
)


def test_the_wheel_carries_what_is_read_at_run_time_and_no_pictures(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for pattern in READ_AT_RUN_TIME
        for path in ROOT.glob(pattern)
        if path.is_file()
    }
    assert len(wanted) > 15
    assert wanted - carried == set()
    assert {name for name in carried if name.endswith(".png")} == set()
