"""The metrics' tables in the exporter's page."""

from exporter.app import collectors
from exporter.commands.metrics import markdown
from tests.generate import ROOT, Generated

PAGE = ROOT / "exporter" / "README.md"
BEGIN = "<!-- `make generate` writes what follows -->\n"


def render() -> str:
    """Return the page with what follows the mark made anew."""
    written, mark, _ = PAGE.read_text().partition(BEGIN)
    return f"{written}{mark or BEGIN}\n{markdown(collectors())}"


SPEC = Generated("exporter_readme", "exporter/README.md", render)
