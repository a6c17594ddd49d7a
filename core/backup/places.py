"""From a place's name to the storage that holds it."""

from __future__ import annotations

from pathlib import Path

from core.errors import ConfigError
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.storage import Storage


def open_storage(place: str, settings: Settings) -> Storage:
    """The files below ``place``."""
    if "://" in place:
        raise ConfigError(f"{place!r}: write a folder")
    return LocalStorage(Path(settings.locate(place)))
