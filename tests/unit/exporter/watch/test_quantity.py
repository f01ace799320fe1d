"""Amounts as Kubernetes writes them."""

import pytest

from exporter.watch.quantity import amount, amounts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", 0.0), ("2", 2.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-3", -3.0)),
        *(("100m", 0.1), ("1976409638n", 1.976409638), ("250u", 0.00025)),
        *(("1k", 1e3), ("2M", 2e6), ("3G", 3e9), ("1T", 1e12), ("1P", 1e15), ("12E", 1.2e19)),
        *(("128Mi", 134217728.0), ("1.5Gi", 1610612736.0), ("524Ki", 536576.0)),
        *(("1Ti", 2.0**40), ("1Pi", 2.0**50), ("1Ei", 2.0**60)),
        *(("2e3", 2000.0), ("2E3", 2000.0), ("1E-3", 0.001)),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(text: str, value: float) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "1K", "1KI", "Gi", "1e", "ten", "1.2.3"])
def test_what_is_no_quantity_is_unknown(text: str) -> None:
    assert amount(text) is None


def test_a_list_of_resources_holds_what_can_be_read() -> None:
    assert amounts({"cpu": "2", "memory": "much"}) == {"cpu": 2.0}
    assert amounts(None) == {}
