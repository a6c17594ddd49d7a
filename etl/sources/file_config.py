"""Files and logs as they stand in a pipeline file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from core.config import Strict
from core.errors import StorageError
from core.settings import Settings
from core.storage.open import open_storage
from core.storage.storage import compile_glob
from etl.rules.patterns.syntax import PatternError
from etl.sources.files import FileSource
from etl.sources.logs.multiline import Starts
from etl.sources.logs.pattern import python_pattern
from etl.sources.logs.plan import LogOptions
from etl.sources.records import Format
from etl.sources.text.encodings import UTF8, check_encoding


class Folder(Strict):
    """Files of a folder, by name."""

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


class Texts(Folder):
    """Files that hold text."""

    encoding: str = UTF8
    """As Python calls it; ``auto`` decides for each file by its beginning."""

    @field_validator("encoding")
    @classmethod
    def _readable(cls, value: str) -> str:
        return check_encoding(value)


class FilesConfig(Texts):
    """JSON lines, CSV with a header line and text in files that only grow; all others in files that are read whole, once."""

    kind: Literal["files"]
    format: Literal["jsonl", "csv", "text", "json", "xml", "parquet", "avro"]
    record: str | None = Field(default=None, pattern=r"^[^\s<>&/=\"']{1,200}$")
    """Of XML the name of the elements that are records."""

    separator: str | None = Field(default=None, pattern=r"^[^\"\r\n\\]$")
    """Between the fields of CSV, by default a comma; one character of ASCII."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Of CSV without a header line: what would stand there."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format != "csv" and (self.separator or self.columns):
            raise ValueError(f"'separator' and 'columns' are for format csv, not for {self.format}")
        if self.separator is not None and not self.separator.isascii():
            raise ValueError(f"separator {self.separator!r} is no character of ASCII")
        if self.format in {"parquet", "avro"} and self.encoding != UTF8:
            raise ValueError(f"format {self.format} has no encoding: leave it out")
        if (self.format == "xml") != (self.record is not None):
            raise ValueError("format xml, and no other, needs 'record', the name of the element that is a record")
        return self


class LogConfig(Texts):
    """Text lines in files that are being written to, and rotated: a last line without its end waits for the next run.

    The pattern takes files that were rotated out too: ``app.log*``.
    """

    kind: Literal["log"]
    skip_lost: bool = False
    """Go on where a file was cut or replaced and no other holds what it held, instead of stopping."""
    quiet_s: float | None = Field(default=None, ge=1)
    """The last line of a file that nobody wrote to for so many seconds is whole without its end; else it waits."""
    starts: str | None = None
    """A record begins at each line whose beginning matches, and has the lines until the next such line."""

    @field_validator("starts")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        try:
            _ = value is None or python_pattern(value)
        except PatternError as error:
            raise ValueError(f"the pattern is not taken: {error.reason}") from error
        return value


def open_files(config: FilesConfig | LogConfig, settings: Settings) -> FileSource:
    """The source that ``config`` describes. Nothing is opened yet."""
    if isinstance(config, LogConfig):
        starts = None if config.starts is None else Starts(python_pattern(config.starts))
        files = open_folder(config.folder, config.pattern, Format.LOG, settings)
        return replace(files, encoding=config.encoding, starts=starts, logs=LogOptions(config.skip_lost, config.quiet_s))
    files = open_folder(config.folder, config.pattern, Format(config.format), settings)
    return replace(
        files, record=config.record, encoding=config.encoding, separator=config.separator or ",", columns=config.columns
    )


def open_folder(below: Path, pattern: str, form: Format, settings: Settings, *, whole: bool = False) -> FileSource:
    """Files below a folder of the settings' ``sources.root``, in whatever storage that is."""
    root, folder = settings.sources.root, str(below)
    if "://" in root and not below.is_absolute():
        place = f"{root.rstrip('/')}/{folder}"
        needed = Settings(root=settings.root, hdfs=settings.hdfs, s3=settings.s3)  # no other secret leaves this machine
        return FileSource(place, pattern, form, partial(open_storage, place, needed), whole)
    return FileSource(settings.at_home(Path(root) / below), pattern, form, whole=whole)
