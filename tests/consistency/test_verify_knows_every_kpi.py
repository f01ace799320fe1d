"""`verify` names collectors and subjects that only the exporter may import: compared here."""

import pkgutil

from exporter import collectors
from exporter.kpi import CATALOGUE
from responder.actions.verify import COLLECTORS, DATABASE_KPIS


def test_every_kpi_of_the_catalogue_has_a_collector_that_tells_its_age() -> None:
    assert set(COLLECTORS) == set(CATALOGUE)


def test_the_collectors_are_the_exporters() -> None:
    modules = {module.name for module in pkgutil.iter_modules(collectors.__path__)}
    assert set(COLLECTORS.values()) <= modules


def test_what_is_about_a_database_is_asked_by_database() -> None:
    assert {kpi.name for kpi in CATALOGUE.values() if kpi.subject == ("database",)} == DATABASE_KPIS
