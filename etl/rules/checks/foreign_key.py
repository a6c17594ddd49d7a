"""A key must stand in another table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType
from etl.rules.tables import Table


class ForeignKey(CheckSpec):
    """Fails where no row of ``table`` has the values of ``columns`` in its ``references`` (default: columns of the same names).

    A key with a null passes, as in SQL. The table is read as it is when the step begins.
    """

    kind: Literal["foreign_key"]
    columns: tuple[str, ...] = Field(min_length=1)
    table: Table
    references: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if self.references and len(self.references) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns and {len(self.references)} references: name as many of both")
        return self

    @property
    def others(self) -> tuple[str, ...]:
        """The columns of ``table``, in the order of ``columns``."""
        return self.references or self.columns

    @property
    def found(self) -> str:
        """The column that ``etl.rules.references`` adds: whether the key stands there; null when not."""
        return f"_k_{self.name}"

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Nothing can be wrong beyond the names; the table's own are known when it is read."""

    def fails(self) -> Column:
        """Whether the row fails."""
        return F.col(self.found).isNull() & ~F.greatest(F.lit(False), *(F.col(name).isNull() for name in self.columns))

    def message(self) -> Column:
        """One line about a row that fails."""
        values = [F.concat(F.lit(f"{name} "), F.left(F.col(name).cast("string"), F.lit(60))) for name in self.columns]
        return F.concat(F.concat_ws(", ", *values), F.lit(f" stands in no row of {self.table}"))
