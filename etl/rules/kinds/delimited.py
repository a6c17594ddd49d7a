"""Records of a CSV file with a header line (RFC 4180); each field is a column."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce
from operator import and_
from typing import Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, Refusal, RuleSpec

_RAGGED = "ragged"


class DelimitedField(FieldSpec):
    """``column`` defaults to the field's name."""

    column: str | None = None


class DelimitedRule(RuleSpec):
    """``columns`` are all columns of the file, in order: a file with another header is not read by guesswork."""

    kind: Literal["delimited"]
    columns: tuple[str, ...] = Field(min_length=1)
    separator: str = Field(default=",", min_length=1, max_length=1)
    fields: dict[str, DelimitedField] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if twins := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise ValueError(f"column {twins[0]!r} stands twice")
        if self.separator in '"\r\n\\':
            raise ValueError(f"separator {self.separator!r} has another meaning in CSV")
        return self

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        for name, spec in self.fields.items():
            if (spec.column or name) not in self.columns:
                known = ", ".join(self.columns)
                raise RuleError(f"{where}: field {name!r}: there is no column {spec.column or name!r}: {known}")

    @cached_property
    def _schema(self) -> StructType:
        texts = [
            StructField(f"c{i}", StringType()) for i in range(len(self.columns))
        ]  # names that differ but in case would clash
        return StructType([*texts, StructField(_RAGGED, StringType())])

    def parse(self, record: Record) -> Column:
        """The record by columns, where the file has the header that the rule declares."""
        return F.when(self._has_header(record), F.from_csv(_line(record.text), self._schema.simpleString(), self._options()))

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return parsed.isNotNull() & parsed.getField(_RAGGED).isNull()

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        return parsed.getField(f"c{self.columns.index(self.fields[field].column or field)}")

    def refusals(self, record: Record) -> tuple[Refusal, ...]:
        """Reasons more exact than that no rule took the record."""
        line = _line(record.header.cast("string"))
        shown = F.coalesce(F.concat(F.lit("the file's header is "), line), F.lit("the file has no header"))
        expected = F.lit(f"; rule {self.name} expects {self.separator.join(self.columns)}")
        ragged = F.lit(f"the record has not the {len(self.columns)} columns of the header, or a quote is not closed")
        return (
            Refusal(~self._has_header(record), "header_mismatch", F.concat(shown, expected)),
            Refusal(self._has_header(record), "no_rule", ragged),
        )

    def _has_header(self, record: Record) -> Column:
        """Mostly one comparison of bytes; a header that is written otherwise (quotes, a byte order mark) is parsed."""
        plain = record.header == F.encode(F.lit(self.separator.join(self.columns)), "UTF-8")
        parsed = F.from_csv(_line(record.header.cast("string")), self._schema.simpleString(), self._options())
        same = [parsed.getField(f"c{i}") == name for i, name in enumerate(self.columns)]
        return F.coalesce(plain | reduce(and_, same, parsed.getField(_RAGGED).isNull()), F.lit(False))

    def _options(self) -> dict[str, str]:
        return {"sep": self.separator, "quote": '"', "escape": '"', "columnNameOfCorruptRecord": _RAGGED, "mode": "PERMISSIVE"}


def _line(text: Column) -> Column:
    """The line without a byte order mark and line end; null when a quote is not closed."""
    bare = F.regexp_replace(text, "\\A\ufeff|\r?\n?\\z", "")
    return F.when(F.length(bare) % 2 == F.length(F.replace(bare, F.lit('"'), F.lit(""))) % 2, bare)
