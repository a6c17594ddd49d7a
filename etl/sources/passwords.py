"""Passwords and other secrets that a source names, and the settings hold."""

from __future__ import annotations

from pydantic import SecretStr

from core.errors import ConfigError
from core.settings import Settings


def named_secret(settings: Settings, name: str, what: str, who: str) -> SecretStr:
    """What the settings hold under a name; raises ConfigError that tells who asks for it."""
    if name not in settings.sources.passwords:
        raise ConfigError(
            f"the settings have no {what} {name!r}, which {who} asks for: set 'sources.passwords.{name}' in secrets.yaml in the "
            "home folder"
        )
    return settings.sources.passwords[name]
