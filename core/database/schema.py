"""The tables of the configuration database, as the newest migration leaves them.

Times are ISO 8601 texts in UTC with microseconds: the same in SQLite, MySQL, MongoDB and a backup, and ordered as texts.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

REVISION = "0002"
"""The newest migration."""

_LONG = Text().with_variant(Text(2**24 - 1), "mysql")  # MEDIUMTEXT: MySQL's TEXT holds 64 KiB

_BYTES = "utf8mb4_bin"  # names are compared as SQLite does, by their bytes

metadata = MetaData()

configurations = Table(
    "configurations",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("text", _LONG, nullable=False),
    Column("author", String(128), nullable=False),
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("kind", "name", "digest", name="configurations_digest"),
    mysql_charset="utf8mb4",
    mysql_collate=_BYTES,
)

journal = Table(
    "journal",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("run_id", String(32), nullable=False),
    Column("pipeline", String(64), nullable=False),
    Column("step", String(64), nullable=False),
    Column("interval", String(80), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    Column("overlaps", String(32)),
    Column("started", String(32), nullable=False),
    Column("ended", String(32)),
    Column("seconds", Float(53)),
    Column("error_code", String(64)),
    Column("error", _LONG),
    Column("versions", _LONG, nullable=False),
    Column("facts", _LONG, nullable=False),
    UniqueConstraint("pipeline", "step", "interval", "attempt", name="journal_attempt"),
    Index("journal_started", "started"),
    mysql_charset="utf8mb4",
    mysql_collate=_BYTES,
)

transitions = Table(
    "transitions",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("action", String(16), nullable=False),
    Column("author", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    mysql_charset="utf8mb4",
    mysql_collate=_BYTES,
)
