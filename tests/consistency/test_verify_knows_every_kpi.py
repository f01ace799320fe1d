"""`verify` names collectors and subjects that only the exporter may import: compared here."""

import pkgutil

from exporter import collectors
from exporter.kpi import CATALOGUE, WORKLOAD
from responder.actions.verify import COLLECTORS, SUBJECTS


def test_every_kpi_of_the_catalogue_has_a_collector_that_tells_its_age() -> None:
    assert set(COLLECTORS) == set(CATALOGUE)


def test_the_collectors_are_the_exporters() -> None:
    modules = {module.name for module in pkgutil.iter_modules(collectors.__path__)}
    assert set(COLLECTORS.values()) <= modules


def test_what_is_not_about_a_workload_is_asked_by_its_own_subject() -> None:
    others = {kpi.name: kpi.subject for kpi in CATALOGUE.values() if kpi.subject != WORKLOAD}
    assert others == SUBJECTS
