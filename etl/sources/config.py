"""Sources as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from core.config import Strict
from core.errors import ConfigError
from core.settings import Settings
from etl.downloads.client import Client, Limits
from etl.downloads.download import Download
from etl.downloads.guard import Guard
from etl.downloads.urls import parse_url
from etl.sources.database_config import DatabaseConfig, each_table, open_database
from etl.sources.download import DownloadSource
from etl.sources.file_config import FilesConfig, LogConfig, open_files, open_folder
from etl.sources.mongo_config import MongoConfig, open_collection
from etl.sources.passwords import named_secret
from etl.sources.records import Format
from etl.sources.source import Source
from etl.sources.topic import TopicSource

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OWN_HEADERS = {
    *("accept", "accept-encoding", "connection", "content-length", "expect", "host", "if-modified-since", "if-none-match"),
    *("if-range", "range", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
}


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
    format: Literal["jsonl", "csv", "text", "log", "parquet", "avro"]
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


AnySource = DatabaseConfig | FilesConfig | LogConfig | KafkaConfig | DownloadConfig | MongoConfig
SourceConfig = Annotated[AnySource, Field(discriminator="kind")]


def each_source(sources: Mapping[str, AnySource]) -> dict[str, AnySource]:
    """Sources by name, with one for each table in place of one of several; raises ValueError when two have the same name."""
    found: dict[str, AnySource] = {}
    for name, config in sources.items():
        each: Mapping[str, AnySource] = each_table(name, config) if isinstance(config, DatabaseConfig) else {name: config}
        if twice := sorted(set(each) & set(found)):
            raise ValueError(f"two sources are called {twice[0]!r}: a source of 'tables' is one for each, NAME_TABLE")
        found |= each
    return found


def open_source(config: AnySource, settings: Settings) -> Source:
    """The source that ``config`` describes. Nothing is opened yet; raises ConfigError for what the settings lack."""
    if isinstance(config, DatabaseConfig):
        return open_database(config, settings)
    if isinstance(config, KafkaConfig):
        return _open_topic(config, settings)
    if isinstance(config, MongoConfig):
        return open_collection(config, settings)
    if isinstance(config, DownloadConfig):
        return _open_download(config, settings)
    return open_files(config, settings)


def _open_download(config: DownloadConfig, settings: Settings) -> DownloadSource:
    """Every kind of storage is reached as files are; what broke off waits below the home folder of this machine."""
    files = open_folder(config.folder, f"*.{config.format}", Format(config.format), settings, whole=True)
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
    secret = named_secret(settings, name, "secret", f"a source's header {header!r}")
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
