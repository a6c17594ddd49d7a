"""The names that every plane uses: tables, models, signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self

from core.errors import ConfigError, ModelNotFound

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MODEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")

ACTIVE = "active"
"""The alias that a bare model name means."""


class Layer(StrEnum):
    """A stage of the lake: each holds what the one before it was turned into."""

    RAW = "raw"
    EXTRACTED = "extracted"
    FEATURES = "features"
    SCORED = "scored"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """``layer.name``, for example ``raw.flights``."""

    layer: Layer
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``layer.name``; raises ConfigError for anything else."""
        layer, dot, name = text.partition(".")
        if not dot or layer not in set(Layer) or not _NAME.fullmatch(name):
            layers = ", ".join(Layer)
            raise ConfigError(
                f"table {text!r} is not layer.name: the layer is one of {layers}; the name has lower-case letters, digits and _"
            )
        return cls(Layer(layer), name)

    def __str__(self) -> str:
        return f"{self.layer}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The half-open span of time ``[start, end)`` that a scheduled run is about; both in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, start: str, end: str | None = None) -> Self:
        """From ISO 8601 texts (a time without an offset is UTC); without ``end``, the day of ``start``. Raises ConfigError."""
        first = _instant(start)
        last = first + timedelta(days=1) if end is None else _instant(end)
        if first >= last:
            raise ConfigError(f"the interval from {start} to {end} is empty: its end must come after its start")
        return cls(first, last)

    def __str__(self) -> str:
        return f"{_iso(self.start)}/{_iso(self.end)}"


def _instant(text: str) -> datetime:
    try:
        if len(text) == len("2013-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text[:40]!r} is no date or time: write 2013-01-31 or 2013-01-31T06:00:00Z") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class ModelUid:
    """What a caller names a model by: ``name`` (its active version), ``name@alias`` or ``name:version``.

    Exactly one of ``alias`` and ``version`` is set.
    """

    name: str
    alias: str | None = ACTIVE
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a UID; raises ModelNotFound for a text that can name no model."""
        name, at, alias = text.partition("@")
        if at:
            if _MODEL.fullmatch(name) and _NAME.fullmatch(alias):
                return cls(name, alias)
        else:
            name, colon, version = text.partition(":")
            if _MODEL.fullmatch(name) and ".." not in name:
                if not colon:
                    return cls(name)
                if _VERSION.fullmatch(version):
                    return cls(name, None, int(version))
        raise ModelNotFound(f"{text[:80]!r} is not a model UID: write NAME, NAME@alias or NAME:version", uid=text[:80])

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}:{self.version}"
        return self.name if self.alias == ACTIVE else f"{self.name}@{self.alias}"


class Dtype(StrEnum):
    """Column types, by MLflow's names."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Column:
    """One named, typed field of a record. An optional column may be absent or null; a required one may not."""

    name: str
    dtype: Dtype
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """The raw record that a model takes, and the columns of its answer."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return {"inputs": [_to_json(c) for c in self.inputs], "outputs": [_to_json(c) for c in self.outputs]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(tuple(_from_json(c) for c in document["inputs"]), tuple(_from_json(c) for c in document["outputs"]))


def _to_json(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": column.dtype.value, "required": column.required}


def _from_json(document: dict[str, Any]) -> Column:
    return Column(document["name"], Dtype(document["type"]), document["required"])
