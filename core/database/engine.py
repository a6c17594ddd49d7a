"""Engines for SQLite and MySQL. The password is put into the URL object in memory, and stands nowhere else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from core.database import failures
from core.errors import ConfigError

SQLITE, MYSQL = "sqlite", "mysql"
_TIMEOUT_S = 10
_NO_DATABASE = 1049
_PRAGMAS = ("busy_timeout=30000", "journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL")


def address(url: str, password: SecretStr | None = None) -> URL:
    """The URL object for ``sqlite:////ABSOLUTE`` or ``mysql+pymysql://USER@HOST:PORT/NAME``; raises ConfigError for others."""
    try:
        made = sqlalchemy.make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"{url!r} is no database URL: write sqlite:///FILE or mysql+pymysql://USER@HOST:PORT/NAME") from error
    if made.get_backend_name() not in (SQLITE, MYSQL) or not made.database:
        raise ConfigError(f"{url}: write sqlite:///FILE or mysql+pymysql://USER@HOST:PORT/NAME")
    if made.get_backend_name() == MYSQL:
        made = made.set(drivername="mysql+pymysql", query={**made.query, "charset": "utf8mb4"})
    return made if password is None else made.set(password=password.get_secret_value())


def open_engine(url: URL) -> Engine:
    """An engine that gives each thread its own connection, checked before use; a database that is missing is made.

    MySQL reads what is committed (READ COMMITTED) and compares texts by their bytes, as SQLite does. Raises StorageError when the
    server does not answer or refuses.
    """
    engine = _sqlite(url) if url.get_backend_name() == SQLITE else _mysql(url)
    try:
        try:
            engine.connect().close()
        except SQLAlchemyError as error:
            if failures.code_of(error) != _NO_DATABASE:
                raise
            create_database(url)
            engine.connect().close()
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise failures.explain(error, place(url)) from error
    return engine


def place(url: URL) -> str:
    """How the database is named in messages: a file, or the URL without its password."""
    if url.get_backend_name() == SQLITE:
        return str(url.database)
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database).render_as_string()


def create_database(url: URL) -> None:
    """Make the MySQL database, if it is missing; texts in it are compared by their bytes. Raises StorageError."""
    nameless = URL.create(url.drivername, url.username, url.password, url.host, url.port)
    server = sqlalchemy.create_engine(nameless, poolclass=sqlalchemy.NullPool, connect_args=_timeouts())
    try:
        with server.connect() as connection:
            name = connection.dialect.identifier_preparer.quote(str(url.database))
            connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    except SQLAlchemyError as error:
        raise failures.explain(error, place(url)) from error
    finally:
        server.dispose()


def compare_bytes(engine: Engine) -> None:
    """Let the tables that others will make in a MySQL database without tables compare texts by their bytes, as SQLite's do."""
    if engine.url.get_backend_name() == MYSQL and not sqlalchemy.inspect(engine).get_table_names():
        with engine.begin() as connection:
            name = connection.dialect.identifier_preparer.quote(str(engine.url.database))
            connection.exec_driver_sql(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


def _sqlite(url: URL) -> Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failures.explain(error, place(url)) from error
    engine = sqlalchemy.create_engine(url, poolclass=QueuePool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where the module guesses
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sqlalchemy.Connection) -> None:
    # a reader that turns writer meets "database is locked" at once, whatever its timeout (sqlite.org/lang_transaction.html)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")


def _mysql(url: URL) -> Engine:
    return sqlalchemy.create_engine(
        url, pool_pre_ping=True, pool_recycle=3600, isolation_level="READ COMMITTED", connect_args=_timeouts()
    )


def _timeouts() -> dict[str, Any]:
    return {"connect_timeout": _TIMEOUT_S, "init_command": "SET time_zone = '+00:00'"}
