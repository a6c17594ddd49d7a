"""A SQL condition over the fields must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from etl.rules.checks.check import CheckSpec
from etl.rules.expressions import attempted, check_length
from etl.rules.fields import FieldType


class Expression(CheckSpec):
    """Fails where ``expression`` is false or raises; null passes, as in a SQL CHECK constraint."""

    kind: Literal["expression"]
    expression: str

    @property
    def columns(self) -> tuple[str, ...]:
        """None by name: what the SQL reads is verified with the plan."""
        return ()

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:  # noqa: ARG002 — verified with the plan
        """Raise RuleError when it cannot run."""
        check_length(self.expression, where)

    def fails(self) -> Column:
        """Whether the row fails."""
        jvm: Any = SparkSession.active().sparkContext._jvm  # noqa: SLF001
        holds = F.coalesce(F.expr(self.expression).cast("boolean"), F.lit(True))
        return ~F.coalesce(attempted(jvm, holds, F.col("_taker").isNotNull()).getField("v"), F.lit(False))

    def message(self) -> Column:
        """One line about a row that fails."""
        return F.lit(f"not {' '.join(self.expression.split())[:200]}")
