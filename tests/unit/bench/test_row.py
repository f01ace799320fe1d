"""A goal is judged by its ratio where there is a peer, by its figure where there is none."""

import pytest

from tests.bench.row import Row, Verdict


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", 50, "ms", at_most=50), Verdict.MET),
        (Row("a", 50.1, "ms", at_most=50), Verdict.MISSED),
        (Row("a", 3000, "1/s", at_least=3000), Verdict.MET),
        (Row("a", 2999, "1/s", at_least=3000), Verdict.MISSED),
        (Row("a", 10, "ms", peer=1000, at_most=1 / 100), Verdict.MET),
        (Row("a", 11, "ms", peer=1000, at_most=1 / 100), Verdict.MISSED),
        (Row("a", 180, "1/s", peer=100, at_least=1.8), Verdict.MET),
        (Row("a", 0, "requests", at_most=0), Verdict.MET),
        (Row("a", 1, "ms"), Verdict.SHOWN),
        (Row("a", 1, "ms", peer=2), Verdict.SHOWN),
    ],
)
def test_a_goal_is_judged_by_the_ratio_or_else_the_figure(row: Row, verdict: Verdict) -> None:
    assert row.verdict is verdict


def test_a_row_shows_figure_peer_ratio_and_bound() -> None:
    row = Row("scrape", 8.2, "ms", "G1", peer=2933, peer_name="client", at_most=1 / 100)
    assert row.cells() == (
        *("G1", "scrape", "client 2,933 ms", "≤ 1/100", "8.2 ms (1/358)", "met"),
    )
    assert Row("memory", 89.6, "MB", at_most=90).cells()[3:5] == ("≤ 90 MB", "89.6 MB")
    assert Row("rate", 300, "1/s", peer=100, at_least=1.8).cells()[3:5] == (
        *("≥ 1.8x", "300 1/s (3x)"),
    )
