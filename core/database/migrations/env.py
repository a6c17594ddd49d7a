"""What Alembic runs to migrate: always over the connection that `core.database.migrate` holds."""

from alembic import context

from core.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
