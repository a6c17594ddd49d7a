"""Passwords and keys of the services, made at the first start."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from core.settings import Settings
from jobs.keys import fresh, keep


def with_secrets(settings: Settings) -> Settings:
    """``settings`` with each password and key that they lacked; what is made is written to ``HOME/secrets.yaml`` first.

    MLflow's database and the configuration database share a password where they share a user.
    """
    missing = {
        section: {key: fresh() for key in keys if getattr(getattr(settings, section), key) is None}
        for section, keys in {"database": ["password"], "mlflow": ["password"], "s3": ["access_key", "secret_key"]}.items()
    }
    if missing["mlflow"] and urlsplit(settings.mlflow.database).username == urlsplit(settings.database.url).username:
        made = missing["database"].get("password")
        missing["mlflow"]["password"] = made or _text(settings.database.password)
    return keep(settings, missing)


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
