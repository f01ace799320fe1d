"""What is generated stands in the tree as the code would make it now."""

import pytest

from tests.generate import discovered

FILES = discovered()


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    assert FILES[name].path.read_text() == FILES[name].content(), "run `make generate`"
