"""Configurations as they were run, and the run journal.

A migration says its tables out: what it makes stays what it was when ``schema`` moves on. MySQL commits each statement by
itself, so one that was broken off may be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_LONG = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql")
_BYTES = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "configurations",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("text", _LONG, nullable=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("kind", "name", "digest", name="configurations_digest"),
        if_not_exists=True,
        **_BYTES,
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("interval", sa.String(80), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("overlaps", sa.String(32)),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("ended", sa.String(32)),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", _LONG),
        sa.Column("versions", _LONG, nullable=False),
        sa.Column("facts", _LONG, nullable=False),
        sa.UniqueConstraint("pipeline", "step", "interval", "attempt", name="journal_attempt"),
        if_not_exists=True,
        **_BYTES,
    )
    op.create_index("journal_started", "journal", ["started"], if_not_exists=True)


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("journal", if_exists=True)
    op.drop_table("configurations", if_exists=True)
