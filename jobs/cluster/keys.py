"""Passwords and keys of the services: made once, kept in ``HOME/secrets.yaml``, which only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from core.config import read_yaml
from core.settings import Settings


def with_secrets(settings: Settings) -> Settings:
    """``settings`` with each password and key that they lacked; what is made is written to ``HOME/secrets.yaml`` first.

    MLflow's database and the configuration database share a password where they share a user.
    """
    missing = {
        section: {key: _fresh() for key in keys if getattr(getattr(settings, section), key) is None}
        for section, keys in {"database": ["password"], "mlflow": ["password"], "s3": ["access_key", "secret_key"]}.items()
    }
    if not any(missing.values()):
        return settings
    if missing["mlflow"] and urlsplit(settings.mlflow.database).username == urlsplit(settings.database.url).username:
        made = missing["database"].get("password")
        missing["mlflow"]["password"] = made or _text(settings.database.password)
    _write(settings.at_home(Path("secrets.yaml")), missing)
    sections = {
        name: getattr(settings, name).model_copy(update={key: SecretStr(value) for key, value in values.items()})
        for name, values in missing.items()
    }
    return settings.model_copy(update=sections)


def _fresh() -> str:
    return secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")  # letters and digits: no quoting anywhere


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _write(file: Path, more: dict[str, dict[str, str]]) -> None:
    document: dict[str, Any] = read_yaml(file) if file.is_file() else {}
    for section, values in more.items():
        if values:
            document[section] = {**document.get(section, {}), **values}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        yaml.safe_dump(document, out)
        out.flush()
        os.fsync(out.fileno())
    part.rename(file)
