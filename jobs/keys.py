"""Passwords and keys that the platform makes itself: once, kept in ``HOME/secrets.yaml``, which only its owner may read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from core.config import read_yaml
from core.settings import Settings
from core.storage.whole import write_whole

Keys = Mapping[str, Mapping[str, str]]
"""Of each section of the settings by name."""


def fresh() -> str:
    """A new secret of 192 bits, letters and digits: no quoting anywhere."""
    return secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")


def keep(settings: Settings, made: Keys) -> Settings:
    """``settings`` with these secrets, which are written to ``HOME/secrets.yaml`` first; what stands there already wins."""
    if not any(made.values()):
        return settings
    file = settings.at_home(Path("secrets.yaml"))
    document: dict[str, Any] = read_yaml(file) if file.is_file() else {}
    for section, values in made.items():
        if values:
            document[section] = {**values, **document.get(section, {})}
    write_private(file, yaml.safe_dump(document))
    sections = {
        name: getattr(settings, name).model_copy(update={key: SecretStr(document[name][key]) for key in values})
        for name, values in made.items()
        if values
    }
    return settings.model_copy(update=sections)


def write_private(file: Path, text: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text.encode())
