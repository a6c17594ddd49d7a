"""A value must be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType


class NotNull(CheckSpec):
    """Fails where any of ``columns`` is null."""

    kind: Literal["not_null"]
    columns: tuple[str, ...] = Field(min_length=1)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Nothing can be wrong beyond the names."""

    def fails(self) -> Column:
        """Whether the row fails."""
        return F.greatest(F.lit(False), *(F.col(name).isNull() for name in self.columns))

    def message(self) -> Column:
        """One line about a row that fails."""
        missing = (F.when(F.col(name).isNull(), F.lit(name)) for name in self.columns)
        return F.concat(F.concat_ws(", ", *missing), F.lit(" is null"))
