"""Run by Alembic: upgrades over the connection that responder.store.schema hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
