"""What the responder's metrics are before anything has happened."""

import pytest

from responder.engine.envelope import Malformed
from responder.metrics import DEAD_LETTER_REASONS, ResponderMetrics


@pytest.mark.parametrize("reason", DEAD_LETTER_REASONS)
def test_dead_letters_begin_with_0_so_that_the_first_one_is_an_increase(reason: str) -> None:
    registry = ResponderMetrics().registry
    assert registry.get_sample_value("responder_dead_letters_total", {"reason": reason}) == 0


def test_every_reason_for_which_a_body_is_no_delivery_is_among_them() -> None:
    assert {each.value for each in Malformed} <= set(DEAD_LETTER_REASONS)
