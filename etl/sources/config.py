"""Sources as they stand in a pipeline file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from core.config import Strict
from core.errors import StorageError
from core.storage.storage import compile_glob
from etl.sources.database import DatabaseSource
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.sources.source import Source


class DatabaseConfig(Strict):
    """A table of a database, read on by a strictly increasing integer column."""

    kind: Literal["database"]
    url: str
    """``sqlite:///path`` (below the home folder; four slashes for an absolute path) or a ``jdbc:`` URL."""
    table: str
    watermark: str
    columns: tuple[str, ...] | None = None
    """The columns to read; all when left out."""

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "jdbc:")):
            raise ValueError("the URL starts with neither 'sqlite:///' nor 'jdbc:'")
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


SourceConfig = Annotated[DatabaseConfig | FilesConfig | LogConfig, Field(discriminator="kind")]


def open_source(config: DatabaseConfig | FilesConfig | LogConfig, home: Path) -> Source:
    """The source that ``config`` describes; relative paths lie below ``home``. Nothing is opened yet."""
    if isinstance(config, DatabaseConfig):
        url = config.url
        if url.startswith("sqlite:///"):
            url = f"sqlite:///{home.absolute() / url.removeprefix('sqlite:///')}"
        return DatabaseSource(url, config.table, config.watermark, config.columns)
    form = Format(config.format) if isinstance(config, FilesConfig) else Format.LOG
    return FileSource(home.absolute() / config.folder, config.pattern, form)
