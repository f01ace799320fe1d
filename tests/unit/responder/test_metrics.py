"""What the responder's metrics are before anything has happened."""

import pytest

from responder.domain.dead_letter import DeadLetterReason
from responder.metrics import ResponderMetrics


@pytest.mark.parametrize("reason", DeadLetterReason)
def test_dead_letters_begin_with_0_so_that_the_first_one_is_an_increase(
    reason: DeadLetterReason,
) -> None:
    registry = ResponderMetrics().registry
    labels = {"reason": reason.value}
    assert registry.get_sample_value("responder_dead_letters_total", labels) == 0
