from responder.actions import collect_evidence


def test_a_piece_keeps_its_newest_end_and_says_what_is_cut() -> None:
    text = "ä" * collect_evidence.PIECE_LIMIT + "the end"
    kept = collect_evidence._bounded(text)
    assert kept.endswith("ä" + "the end")
    assert kept.startswith(f"[the first {collect_evidence.PIECE_LIMIT + 8} bytes are left out]\n")
    assert collect_evidence._bounded("short") == "short"
