"""Databases as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr, field_validator

from core.config import Strict
from core.errors import ConfigError
from core.settings import Settings
from etl.sources.database import DatabaseSource
from etl.sources.passwords import named_secret

_PORTS = {"mysql": 3306, "postgresql": 5432}
_SCHEMES = ("sqlite:///", "mysql://", "postgresql://", "jdbc:")


class DatabaseConfig(Strict):
    """A table of a database, read on by a strictly increasing integer column."""

    kind: Literal["database"]
    url: str
    """``sqlite:///path`` (below the home folder; four slashes for an absolute path), ``mysql://USER@HOST:PORT/NAME``,
    ``postgresql://USER@HOST:PORT/NAME``, ``mysql:///NAME`` (on the server of the settings' ``database.url``), or ``jdbc:…``."""
    table: str
    watermark: str
    columns: tuple[str, ...] | None = None
    """The columns to read; all when left out."""
    interval: str | None = None
    """A column of dates or times in UTC: a run about an interval reads the rows whose time lies in it."""
    password: str | None = None
    """The name of a password in the settings' ``sources.passwords``; the platform's own server needs none named."""

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith(_SCHEMES):
            raise ValueError(f"the URL starts with none of {', '.join(map(repr, _SCHEMES))}")
        if value.startswith(("mysql://", "postgresql://")):
            _check_server(urlsplit(value))
        return value

    @field_validator("columns")
    @classmethod
    def _some(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("name each column once, and at least one")
        return value


def open_database(config: DatabaseConfig, settings: Settings) -> DatabaseSource:
    """The source that ``config`` describes. Nothing is opened yet; raises ConfigError for what the settings lack."""
    url, user, password = config.url, None, _password(config, settings)
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{settings.at_home(Path(url.removeprefix('sqlite:///')))}"
    elif not url.startswith("jdbc:"):
        place = urlsplit(url)
        kind, own = place.scheme, urlsplit(settings.database.url)
        name = place.path.strip("/")
        if not place.hostname:
            if not own.scheme.startswith("mysql"):
                raise ConfigError(
                    f"{url!r} names no server, and the settings' 'database.url' is no MySQL: write mysql://USER@HOST:PORT/NAME"
                )
            place, name = own, settings.sources.prefix + name
        if kind == "mysql" and _server(place) == _server(own) and password is None:
            password = settings.database.password
        host, port, user = _server(place)
        url = f"jdbc:{kind}://{host}:{port}/{name}"
    secret = None if password is None else password.get_secret_value()
    return DatabaseSource(url, config.table, config.watermark, config.columns, config.interval, user, secret)


def _password(config: DatabaseConfig, settings: Settings) -> SecretStr | None:
    if config.password is None:
        return None
    return named_secret(settings, config.password, "password", f"the source of table {config.table!r}")


def _server(url: SplitResult) -> tuple[str | None, int, str | None]:
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
    return host, url.port or _PORTS[url.scheme.split("+", 1)[0]], url.username


def _check_server(url: SplitResult) -> None:
    if url.password is not None:
        raise ValueError("a URL holds no password: name one by the key 'password', and set it in the settings' secrets")
    named = url.path.strip("/")
    known = url.username is not None if url.hostname is not None else url.scheme == "mysql"
    if not named or "/" in named or url.query or url.fragment or not known:
        raise ValueError(f"write {url.scheme}://USER@HOST:PORT/NAME, or mysql:///NAME for the server of the settings")
