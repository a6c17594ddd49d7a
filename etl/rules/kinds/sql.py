"""Rows of a database, which land as a JSON object of texts; each field is a Spark SQL expression over the columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column

from etl.rules.expressions import check_length
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, RuleSpec
from etl.rules.kinds.shape import Shape, is_object, read_object


class SqlField(FieldSpec):
    """``expression`` over the columns, which are all texts; by default the column of the field's name."""

    expression: str | None = None


class SqlRule(RuleSpec):
    """``columns`` are those that the expressions use. An expression that fails on a row is a bad cast of that row."""

    kind: Literal["sql"]
    columns: tuple[str, ...] = Field(min_length=1)
    fields: dict[str, SqlField] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_twins(self) -> Self:
        lower = [name.lower() for name in self.columns]
        if twins := sorted({name for name in lower if lower.count(name) > 1}):
            raise ValueError(f"column {twins[0]!r} stands twice (Spark takes no notice of case)")
        if taken := sorted(name for name in lower if name.startswith("_") or name == "value"):
            raise ValueError(f"column {taken[0]!r} has a name that the platform uses")
        return self

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    @cached_property
    def _shape(self) -> Shape:
        return Shape(keys={name: Shape() for name in self.columns})

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        for name in self.fields:
            check_length(self.expression(name), f"{where}: field {name!r}")

    def expression(self, field: str) -> str:
        """The SQL text of a field."""
        return self.fields[field].expression or f"`{field}`"

    def parse(self, record: Record) -> Column:
        """The object, parsed once."""
        return read_object(record.text, self._shape)

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return is_object(parsed)

    def column(self, parsed: Column, name: str) -> Column:
        """The text of a declared column."""
        return self._shape.column(parsed, (name,))

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        return self.column(parsed, field)
