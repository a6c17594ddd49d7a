"""The schema of the configuration database, brought to the version that this code knows, by one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from core.database import failures
from core.database.alone import alone
from core.database.engine import place
from core.database.schema import REVISION
from core.errors import ConfigError

_TABLE = "alembic_version"


def migrate(engine: Engine, revision: str = REVISION) -> None:
    """Bring the schema to ``revision``, up or down; ``base`` takes away all tables of ours.

    Raises ConfigError for a database that newer code has made, and StorageError.
    """
    where = place(engine.url)
    try:
        if current(engine) == revision:
            return
        with alone(engine), engine.connect() as connection:
            found = _current(connection)
            if found == revision:
                return
            config = _config(connection)
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            if found is not None and found not in known:
                raise ConfigError(f"{where}: its schema {found} is newer than this platform ({REVISION}): update the platform")
            upward = found is None or (revision != "base" and revision > found)
            (command.upgrade if upward else command.downgrade)(config, revision)
            connection.commit()
    except SQLAlchemyError as error:
        raise failures.explain(error, where) from error


def current(engine: Engine) -> str | None:
    """The schema's version; None for an empty database."""
    with engine.connect() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 — a constant


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
