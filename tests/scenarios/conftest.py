"""Says at the end which dice were thrown, so that a failure can be had again."""

import pytest

from tests.bed.dice import KILLS, SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"random kills: SEED={SEED} KILLS={KILLS}")
