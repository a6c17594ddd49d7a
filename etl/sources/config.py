"""Sources as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

import hashlib
import re
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
from etl.downloads.client import Client, Limits
from etl.downloads.download import Download
from etl.downloads.guard import Guard
from etl.downloads.urls import parse_url
from etl.sources.database import DatabaseSource
from etl.sources.download import DownloadSource
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.sources.source import Source
from etl.sources.topic import TopicSource

_MYSQL_PORT = 3306
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OWN_HEADERS = {
    *("accept", "accept-encoding", "connection", "content-length", "expect", "host", "if-modified-since", "if-none-match"),
    *("if-range", "range", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
}


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


class DownloadConfig(Strict):
    """A file that a server on the Internet gives, fetched again when it is another one."""

    kind: Literal["download"]
    url: str
    """``https://…`` or ``http://…``, without user and password."""
    folder: Path
    """Where its versions are kept: below ``sources.root``, and no other source's."""
    format: Literal["jsonl", "csv", "log"]
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the file, after a content coding was undone. Nothing but that file is taken."""
    max_bytes: int = Field(default=1 << 30, ge=1)
    timeout_s: float = Field(default=3600.0, gt=0)
    """How long fetching it may take in all."""
    allow: tuple[str, ...] = ()
    """Networks (``10.1.0.0/16``), addresses and hosts that are not of the public Internet, and may be fetched from."""
    headers: dict[str, str] = {}
    """By a header's name, the name of the secret in the settings' ``sources.passwords`` that is its whole value."""

    @field_validator("url")
    @classmethod
    def _fetched(cls, value: str) -> str:
        parse_url(value)
        return value

    @field_validator("allow")
    @classmethod
    def _read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Guard.of(value)
        return value

    @field_validator("headers")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name!r} is no header that a source may set")
        return value


AnySource = DatabaseConfig | FilesConfig | LogConfig | KafkaConfig | DownloadConfig
SourceConfig = Annotated[AnySource, Field(discriminator="kind")]


def open_source(config: AnySource, settings: Settings) -> Source:
    """The source that ``config`` describes. Nothing is opened yet; raises ConfigError for what the settings lack."""
    if isinstance(config, DatabaseConfig):
        return _open_database(config, settings)
    if isinstance(config, KafkaConfig):
        return _open_topic(config, settings)
    if isinstance(config, DownloadConfig):
        return _open_download(config, settings)
    form = Format(config.format) if isinstance(config, FilesConfig) else Format.LOG
    return _open_files(config.folder, config.pattern, form, settings)


def _open_files(below: Path, pattern: str, form: Format, settings: Settings, *, whole: bool = False) -> FileSource:
    root, folder = settings.sources.root, str(below)
    if "://" in root and not below.is_absolute():
        place = f"{root.rstrip('/')}/{folder}"
        needed = Settings(root=settings.root, hdfs=settings.hdfs, s3=settings.s3)  # no other secret leaves this machine
        return FileSource(place, pattern, form, partial(open_storage, place, needed), whole)
    return FileSource(settings.at_home(Path(root) / below), pattern, form, whole=whole)


def _open_download(config: DownloadConfig, settings: Settings) -> DownloadSource:
    """Every kind of storage is reached as files are; what broke off waits below the home folder of this machine."""
    files = _open_files(config.folder, f"*.{config.format}", Format(config.format), settings, whole=True)
    secrets = {header: _secret(header, name, settings) for header, name in config.headers.items()}
    limits = Limits(body_bytes=config.max_bytes, total_s=config.timeout_s)
    token = hashlib.sha256(f"{files.folder}\n{config.url}".encode()).hexdigest()[:16]
    download = Download(
        parse_url(config.url),
        Client(Guard.of(config.allow), limits, secrets),
        files.opener,
        config.format,
        settings.at_home(Path("downloads") / token),
        config.sha256,
    )
    return DownloadSource(download, files)


def _secret(header: str, name: str, settings: Settings) -> str:
    secret = _named(settings, name, "secret", f"a source's header {header!r}")
    if not _HEADER_VALUE.fullmatch(secret.get_secret_value()):
        raise ConfigError(
            f"'sources.passwords.{name}' can be no value of a header: write one line of ASCII, without blanks around"
        )
    return secret.get_secret_value()


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
    return _named(settings, config.password, "password", f"the source of table {config.table!r}")


def _named(settings: Settings, name: str, what: str, who: str) -> SecretStr:
    """What the settings hold under a name; raises ConfigError that tells who asks for it."""
    if name not in settings.sources.passwords:
        raise ConfigError(
            f"the settings have no {what} {name!r}, which {who} asks for: set 'sources.passwords.{name}' in secrets.yaml in the "
            "home folder"
        )
    return settings.sources.passwords[name]


def _server(url: SplitResult) -> tuple[str | None, int, str | None]:
    return url.hostname, url.port or _MYSQL_PORT, url.username


def _check_mysql(url: SplitResult) -> None:
    if url.password is not None:
        raise ValueError("a URL holds no password: name one by the key 'password', and set it in the settings' secrets")
    named = url.path.strip("/")
    if not named or "/" in named or url.query or url.fragment or (url.hostname is not None and url.username is None):
        raise ValueError("write mysql://USER@HOST:PORT/NAME, or mysql:///NAME for the server of the settings")
