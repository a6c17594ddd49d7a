"""Sources as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator

from core.config import Strict
from core.errors import ConfigError, StorageError
from core.settings import Settings
from core.storage.open import open_storage
from core.storage.storage import compile_glob
from etl.sources.database import DatabaseSource
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.sources.source import Source
from etl.sources.topic import TopicSource

_MYSQL_PORT = 3306


class DatabaseConfig(Strict):
    """A table of a database, read on by a strictly increasing integer column."""

    kind: Literal["database"]
    url: str
    """``sqlite:///path`` (below the home folder; four slashes for an absolute path), ``mysql://USER@HOST:PORT/NAME``,
    ``mysql:///NAME`` (on the server of the settings' ``database.url``) or a ``jdbc:`` URL."""
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
        if not value.startswith(("sqlite:///", "mysql://", "jdbc:")):
            raise ValueError("the URL starts with none of 'sqlite:///', 'mysql://', 'jdbc:'")
        if value.startswith("mysql://"):
            _check_mysql(urlsplit(value))
        return value

    @field_validator("columns")
    @classmethod
    def _some(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("name each column once, and at least one")
        return value


class _Folder(Strict):
    folder: Path
    """Below the home folder, or absolute."""
    pattern: str = "**/*"

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            compile_glob(value)
        except StorageError as error:
            raise ValueError(error.message) from error
        return value


class FilesConfig(_Folder):
    """JSON lines, or CSV with a header line, in files that only grow."""

    kind: Literal["files"]
    format: Literal["jsonl", "csv"]


class LogConfig(_Folder):
    """Text lines in files that are being written to: a last line without its end waits for the next run."""

    kind: Literal["log"]


class KafkaConfig(Strict):
    """A topic of Kafka."""

    kind: Literal["kafka"]
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,180}$")
    servers: str | None = None
    """``HOST:PORT,HOST:PORT``; the settings' ``kafka.servers`` when left out."""
    skip_lost: bool = False
    """Go on without records that were deleted before they were read, instead of stopping."""


SourceConfig = Annotated[DatabaseConfig | FilesConfig | LogConfig | KafkaConfig, Field(discriminator="kind")]


def open_source(config: DatabaseConfig | FilesConfig | LogConfig | KafkaConfig, settings: Settings) -> Source:
    """The source that ``config`` describes. Nothing is opened yet; raises ConfigError for what the settings lack."""
    if isinstance(config, DatabaseConfig):
        return _open_database(config, settings)
    if isinstance(config, KafkaConfig):
        return _open_topic(config, settings)
    form = Format(config.format) if isinstance(config, FilesConfig) else Format.LOG
    return _open_files(config, form, settings)


def _open_files(config: FilesConfig | LogConfig, form: Format, settings: Settings) -> FileSource:
    root, folder = settings.sources.root, str(config.folder)
    if "://" in root and not config.folder.is_absolute():
        place = f"{root.rstrip('/')}/{folder}"
        needed = Settings(root=settings.root, hdfs=settings.hdfs, s3=settings.s3)  # no other secret leaves this machine
        return FileSource(place, config.pattern, form, partial(open_storage, place, needed))
    return FileSource(settings.at_home(Path(root) / config.folder), config.pattern, form)


def _open_topic(config: KafkaConfig, settings: Settings) -> TopicSource:
    servers = config.servers or settings.kafka.servers
    if not servers:
        raise ConfigError(
            f"topic {config.topic!r}: no Kafka is named: set 'servers' in the source, or 'kafka.servers' in the settings"
        )
    topic = config.topic if config.servers else settings.sources.prefix + config.topic
    return TopicSource(servers, topic, config.skip_lost)


def _open_database(config: DatabaseConfig, settings: Settings) -> DatabaseSource:
    url, user, password = config.url, None, _password(config, settings)
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{settings.at_home(Path(url.removeprefix('sqlite:///')))}"
    elif url.startswith("mysql://"):
        place = urlsplit(url)
        own = urlsplit(settings.database.url)
        name = place.path.strip("/")
        if not place.hostname:
            if not own.scheme.startswith("mysql"):
                raise ConfigError(
                    f"{url!r} names no server, and the settings' 'database.url' is no MySQL: write mysql://USER@HOST:PORT/NAME"
                )
            place, name = own, settings.sources.prefix + name
        if _server(place) == _server(own) and password is None:
            password = settings.database.password
        host, port, user = _server(place)
        url = f"jdbc:mysql://{host}:{port}/{name}"
    secret = None if password is None else password.get_secret_value()
    return DatabaseSource(url, config.table, config.watermark, config.columns, config.interval, user, secret)


def _password(config: DatabaseConfig, settings: Settings) -> SecretStr | None:
    if config.password is None:
        return None
    if config.password not in settings.sources.passwords:
        raise ConfigError(
            f"the settings have no password {config.password!r}, which the source of table {config.table!r} asks for: set "
            f"'sources.passwords.{config.password}' in secrets.yaml in the home folder"
        )
    return settings.sources.passwords[config.password]


def _server(url: SplitResult) -> tuple[str | None, int, str | None]:
    return url.hostname, url.port or _MYSQL_PORT, url.username


def _check_mysql(url: SplitResult) -> None:
    if url.password is not None:
        raise ValueError("a URL holds no password: name one by the key 'password', and set it in the settings' secrets")
    named = url.path.strip("/")
    if not named or "/" in named or url.query or url.fragment or (url.hostname is not None and url.username is None):
        raise ValueError("write mysql://USER@HOST:PORT/NAME, or mysql:///NAME for the server of the settings")
