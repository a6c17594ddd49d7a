"""A value must be one of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType

_KINDS: dict[FieldType, tuple[type, ...]] = {
    FieldType.STRING: (str,),
    FieldType.BOOLEAN: (bool,),
    FieldType.INT: (int,),
    FieldType.LONG: (int,),
    FieldType.DOUBLE: (int, float),
}


class Membership(CheckSpec):
    """Fails for a value that is none of ``values``."""

    kind: Literal["set"]
    column: str
    values: tuple[bool | int | float | str, ...] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The field that it looks at."""
        return (self.column,)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError when it cannot run."""
        kind = _KINDS.get(types[self.column])
        if kind is None or any(type(value) not in kind for value in self.values):
            raise RuleError(
                f"{where}: {self.column} is a {types[self.column]}: a set lists strings for a string, numbers for a number"
            )

    def fails(self) -> Column:
        """Whether the row fails."""
        return ~F.col(self.column).isin(*self.values)

    def message(self) -> Column:
        """One line about a row that fails."""
        known = ", ".join(map(str, self.values[:10])) + (", …" if len(self.values) > 10 else "")  # noqa: PLR2004
        value = F.left(F.col(self.column).cast("string"), F.lit(60))
        return F.concat(F.lit(f"{self.column} is "), value, F.lit(f", none of {known}"))
