"""Passwords and keys that the platform makes itself: once, kept in ``HOME/secrets.yaml``, which only its owner may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from core.config import read_yaml
from core.settings import Settings

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
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.rename(file)
