"""The console tells units by a KPI's name: compared here with the exporter's catalogue."""

import pytest

from exporter.kpi import CATALOGUE, Kpi
from responder.web.kpis import SUBJECTS, figure

SIGNS = {"seconds": " ms", "ratio": " %", "bytes": " MiB", "bytes_per_day": " MiB/day"}
PLAIN = ("apdex",)
"""Ratios that nobody writes in percent."""


@pytest.mark.parametrize("kpi", CATALOGUE.values(), ids=CATALOGUE)
def test_a_value_carries_the_sign_of_its_unit(kpi: Kpi) -> None:
    sign = "" if kpi.name in PLAIN else SIGNS.get(kpi.unit, "")
    said = figure(kpi.name, 0.5)
    assert said.endswith(sign)
    if not sign:
        assert said.startswith("0.5")
        assert not said.endswith(tuple(SIGNS.values()))


VERIFIED = {name: kpi for name, kpi in CATALOGUE.items() if kpi.target is not None}
"""What a runbook can verify, and an incident's page draws."""


@pytest.mark.parametrize("kpi", VERIFIED.values(), ids=VERIFIED)
def test_the_front_of_a_name_tells_what_it_is_about(kpi: Kpi) -> None:
    found = [names for word, names in SUBJECTS.items() if kpi.name.startswith(word)]
    if kpi.subject == ("namespace", "workload", "workload_type"):
        assert found == []
    else:
        assert set(kpi.subject) <= set(found[0])
