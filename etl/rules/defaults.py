"""Default values of fields: typed when the rules are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

_BITS = {"int": 31, "long": 63}
Default = bool | int | float | str


def read_default(value: Any, kind: str) -> Default:
    """A default as it is kept, dates and timestamps in ISO 8601; raises ValueError when it is no value of the type."""
    text = value.isoformat() if isinstance(value, date) else value
    if not _fits(text, kind):
        raise ValueError(f"default {text!r} is no {kind}")
    return float(text) if kind == "double" else text


def default_column(value: Any, kind: str) -> Column:
    """The default as a typed constant."""
    if kind == "timestamp":
        moment = datetime.fromisoformat(str(value))
        return F.lit((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()).cast("timestamp")
    return F.lit(value).cast("bigint" if kind == "long" else kind)


def _fits(value: Any, kind: str) -> bool:
    if kind in ("date", "timestamp"):
        read = date.fromisoformat if kind == "date" else datetime.fromisoformat
        try:
            return isinstance(value, str) and read(value) is not None
        except ValueError:
            return False
    if kind in _BITS:
        return type(value) is int and -(2 ** _BITS[kind]) <= value < 2 ** _BITS[kind]
    kinds: dict[str, tuple[type, ...]] = {"boolean": (bool,), "double": (int, float), "string": (str,)}
    return type(value) in kinds[kind]
