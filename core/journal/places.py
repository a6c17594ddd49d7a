"""The journal that the settings name."""

from __future__ import annotations

from core.journal.journal import Journal
from core.settings import Settings


def open_journal(settings: Settings) -> Journal:
    """In MongoDB where ``journal.url`` is set, else in the configuration database. Raises StorageError when that is down."""
    if settings.journal.url is None:
        from core.database.database import Database  # noqa: PLC0415 — each is imported where it is used
        from core.journal.sql import SqlJournal  # noqa: PLC0415

        return SqlJournal(Database.of(settings))
    from core.journal.mongo import MongoJournal  # noqa: PLC0415

    return MongoJournal.open(settings.journal.url, settings.journal.password)
