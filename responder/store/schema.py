"""Brings the schema up to date with Alembic, and says whether it is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from exporter.shared.errors import RunbookdError


def _config() -> Config:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def version_of(connection: Connection) -> str:
    """Return the revision that the database is at; `nothing` when it is empty."""
    return MigrationContext.configure(connection).get_current_revision() or "nothing"


def newest() -> str:
    """Return the revision that this release works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or "nothing"


def upgrade(connection: Connection) -> str:
    """Upgrade to the newest revision and say what was done; a second call changes nothing."""
    before = version_of(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    after = version_of(connection)
    if before == after:
        return f"the schema is at {after}, the newest: nothing to do"
    return f"the schema went from {before} to {after}"


def refuse_if_old(connection: Connection) -> None:
    """Raise RunbookdError when the schema is not the one that this release works with."""
    at = version_of(connection)
    if at != newest():
        raise RunbookdError(
            f"the database's schema is at {at}, this release needs {newest()}:"
            " run `alert-responder migrate` first"
        )
