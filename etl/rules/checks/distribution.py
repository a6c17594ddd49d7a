"""The values of a column must be spread as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.contracts import TableName
from core.stability import psi
from etl.rules.checks.batch import Batch, BatchSpec
from etl.rules.fields import FieldType
from etl.rules.tables import Table

LEAST_ROWS = 500
"""Of either side: with fewer, chance alone takes the index of 20 bins near 0.1."""
_CATEGORIES = 20
_DECILES = [n / 10 for n in range(1, 10)]
_NUMBERS = ("int", "bigint", "double", "date", "timestamp")


class Distribution(BatchSpec):
    """Fails when the population stability index of ``column`` reaches ``max``: below 0.1 is called stable, from 0.25 shifted.

    The reference is what the last ``batches`` batches brought into the table or, where one is named, all of ``table``. Numbers,
    dates and timestamps are counted by the reference's deciles, others by its 20 most frequent values; missing ones by
    themselves. Nothing is said of fewer than 500 rows on either side.
    """

    kind: Literal["distribution"]
    column: str
    max: float = Field(default=0.25, gt=0)
    batches: int = Field(default=10, ge=1)
    table: Table | None = None

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if self.table is not None and "batches" in self.model_fields_set:
            raise ValueError("a distribution has 'batches' of its own table or another 'table', not both")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The field that it looks at."""
        return (self.column,)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Nothing can be wrong beyond the name."""

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the new rows; None when nothing is."""
        reference = self._reference(batch)
        if reference is None or batch.size < LEAST_ROWS or reference.count() < LEAST_ROWS:
            return None
        bins = self._bins(reference)
        expected, actual = _counts(reference, bins), _counts(batch.rows, bins)
        places = sorted(expected.keys() | actual.keys())
        index = psi([expected.get(place, 0) for place in places], [actual.get(place, 0) for place in places])
        if index < self.max:
            return None
        return (
            f"the values of {self.column} are spread otherwise than in {self._name(batch)}: index {index:.2f} (max {self.max:g})"
        )

    def _name(self, batch: Batch) -> str:
        return f"the last {self.batches} batches" if self.table is None else str(self._table(batch))

    def _table(self, batch: Batch) -> TableName:
        return self.table or batch.into

    def _reference(self, batch: Batch) -> DataFrame | None:
        rows = batch.read(self._table(batch))
        if rows is None or self.table is not None:
            return rows
        newest = rows.agg(F.max("_batch").alias("newest")).head()
        if newest is None or newest["newest"] is None:
            return None
        return rows.where(F.col("_batch") > newest["newest"] - self.batches)

    def _bins(self, reference: DataFrame) -> Column:
        """The bin of a value, of which the reference decides; -1 for a missing one."""
        value = F.col(self.column)
        if reference.select(value).schema[0].dataType.simpleString() in _NUMBERS:
            number = F.nanvl(_number(value, reference), F.lit(None).cast("double"))
            (row,) = reference.agg(F.percentile_approx(number, _DECILES, 10_000).alias("edges")).collect()
            edges = sorted(set(row["edges"] or []))
            place: Column = sum(((number > edge).cast("int") for edge in edges), F.lit(0))
            return F.coalesce(place, F.lit(-1))
        known = reference.where(value.isNotNull()).groupBy(value.cast("string").alias("name")).count()
        names = [row["name"] for row in known.orderBy(F.desc("count"), "name").limit(_CATEGORIES).collect()]
        places = F.array_position(F.array(*map(F.lit, names)).cast("array<string>"), value.cast("string"))
        return F.coalesce(places.cast("int"), F.lit(-1))


def _number(value: Column, rows: DataFrame) -> Column:
    kind = rows.select(value).schema[0].dataType.simpleString()
    if kind == "date":
        return F.unix_date(value).cast("double")
    return F.unix_micros(value).cast("double") if kind == "timestamp" else value.cast("double")


def _counts(rows: DataFrame, bins: Column) -> dict[int, int]:
    return {row["bin"]: row["count"] for row in rows.groupBy(bins.alias("bin")).count().collect()}
