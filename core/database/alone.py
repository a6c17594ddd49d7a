"""One process at a time makes or migrates tables: a lock file beside a SQLite file, a named lock at a MySQL server."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from core.database import failures
from core.database.engine import SQLITE, place
from core.errors import StorageError

_WAIT_S = 300


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Within the block no other process is in it for the same database; an owner that dies frees it. Raises StorageError."""
    if engine.url.get_backend_name() == SQLITE:
        file = Path(str(engine.url.database))
        with file.with_name(f"{file.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    where = place(engine.url)
    # the names of these locks are the server's, not the database's, and at most 64 characters long
    name = f"maas-{hashlib.sha256(str(engine.url.database).encode()).hexdigest()[:32]}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            taken = connection.execute(text("SELECT GET_LOCK(:name, :wait)"), {"name": name, "wait": _WAIT_S}).scalar()
        except SQLAlchemyError as error:
            raise failures.explain(error, where) from error
        if taken != 1:
            raise StorageError(f"{where}: another process has been migrating it for {_WAIT_S} s: see what it does, and run again")
        try:
            yield
        finally:
            if not connection.invalidated:
                connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
