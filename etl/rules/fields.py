"""Typed fields: what a text must be to become a value, as Spark columns that give null for any other text."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self
from zoneinfo import ZoneInfo

from pydantic import ValidationInfo, field_validator, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.config import Strict
from etl.rules.defaults import Default, default_column, read_default
from etl.rules.masks import Mask
from etl.rules.units import Unit

_DATE_LENGTHS = (8, 10)
_ZONE = r"[A-Za-z+\-]"
_ZONE_LETTERS = frozenset("VzOXxZ")


class FieldType(StrEnum):
    """The types of extracted fields, by Spark's names."""

    STRING = "string"
    BOOLEAN = "boolean"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp"


class FieldSpec(Strict):
    """One typed field.

    ``format`` is a Spark datetime pattern (default: ISO 8601); ``timezone`` is where a timestamp without an offset was written
    (default: UTC; in a gap of summer time the clock goes on by the hour left out, in an overlap the earlier instant is meant).
    A text of ``null_values`` is null; a null ``required`` field is an error of its record, and any other has the value of
    ``default``. ``mask`` is for strings: checks see the text, the table and all messages do not; ``hash`` takes the key that
    the settings hold under ``rules.keys``. ``unit`` is for a double: it is held in another unit than it was written in.
    """

    type: FieldType
    format: str | None = None
    timezone: str | None = None
    required: bool = False
    null_values: tuple[str, ...] = ("",)
    default: Default | datetime | date | None = None
    mask: Mask | None = None
    mask_key: str = "default"
    unit: Unit | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            return value and ZoneInfo(value).key
        except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError with its own text
            raise ValueError(f"{value!r} is no time zone") from error
        except KeyError as error:
            raise ValueError(f"{value!r} is no time zone: write a name such as America/New_York or UTC") from error

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format is not None and self.type not in (FieldType.DATE, FieldType.TIMESTAMP):
            raise ValueError(f"a {self.type} has no format")
        if self.timezone is not None and self.type is not FieldType.TIMESTAMP:
            raise ValueError(f"a {self.type} has no timezone")
        if self.timezone is not None and self.format is not None and _ZONE_LETTERS & set(_unquoted(self.format)):
            raise ValueError("the format reads an offset, so timezone cannot be set too")
        if self.default is not None and self.required:
            raise ValueError("a required field has no default: leave out one of the two")
        if self.mask is not None and self.type is not FieldType.STRING:
            raise ValueError(f"a {self.type} cannot be masked: make the field a string")
        if self.unit is not None and self.type is not FieldType.DOUBLE:
            raise ValueError(f"a {self.type} has no unit: make the field a double")
        return self

    @field_validator("default")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Default | None:
        return None if value is None or "type" not in info.data else read_default(value, info.data["type"])

    def nulled(self, text: Column) -> Column:
        """``text``, null where it is one of the null values."""
        if len(self.null_values) == 1:
            return F.nullif(text, F.lit(self.null_values[0]))
        return F.when(~text.isin(*self.null_values), text) if self.null_values else text

    def value(self, text: Column) -> Column:
        """The typed value, ``default`` where there is no ``text``; null where it is no such value.

        Space and control characters around a number do not count.
        """
        if self.default is None:
            return self._read(text)
        return F.when(text.isNull(), self.filled).otherwise(self._read(text))

    def converted(self, value: Column) -> Column:
        """``value`` in the unit that the table holds."""
        return value if self.unit is None else self.unit.convert(value)

    @property
    def filled(self) -> Column:
        """``default`` as a constant of the type."""
        return default_column(self.default, self.type)

    def _read(self, text: Column) -> Column:
        match self.type:
            case FieldType.STRING:
                return text.cast("string")
            case FieldType.DOUBLE:
                return self.converted(_if(_is_suffixed(text), F.lit(None), text.try_cast("double")))
            case FieldType.DATE:
                return self._date(text)
            case FieldType.TIMESTAMP:
                return self._timestamp(text)
            case _:
                return text.try_cast(self.type.value)

    def _date(self, text: Column) -> Column:
        if self.format is not None:
            return F.try_to_timestamp(text, F.lit(self.format)).cast("date")
        # a cast to date alone takes a year for its first day, and anything after a space
        return F.when(F.length(text).between(*_DATE_LENGTHS), text.try_cast("date"))

    def _timestamp(self, text: Column) -> Column:
        if self.format is not None:
            return self._moved(F.try_to_timestamp(text, F.lit(self.format)))
        # a cast alone takes a time for one of today, and a year for its first day
        dated = (F.substring(text, 5, 1) == "-") & (F.length(text) >= _DATE_LENGTHS[0])
        read = text.try_cast("timestamp")
        if self._is_elsewhere():
            has_zone = F.rlike(F.substring(text, 12, 64), F.lit(_ZONE))
            read = F.when(has_zone, read).otherwise(self._moved(read))
        return F.when(dated, read)

    def _moved(self, read: Column) -> Column:
        """A wall clock's time, read as if it were UTC, as the instant it showed in the field's time zone."""
        return F.to_utc_timestamp(read, self.timezone) if self.timezone not in (None, "UTC") else read

    def _is_elsewhere(self) -> bool:
        return self.timezone not in (None, "UTC", "Etc/UTC")


def _is_suffixed(text: Column) -> Column:
    """Java's parser takes ``1d`` and ``1f``, which are damage in a record of ours. Most numbers pass by one comparison."""
    return (F.substring(text, -1, 1) > "9") & ~F.lower(text).isin("nan", "infinity", "-infinity", "+infinity")


def _if(condition: Column, then: Column, otherwise: Column) -> Column:
    """SQL's ``if``: less code for each row than ``F.when``, which matters in a place that every number passes."""
    return F.call_function("if", condition, then, otherwise)


def _unquoted(pattern: str) -> str:
    return "".join(pattern.split("'")[::2])
