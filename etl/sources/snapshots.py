"""Tables of a database read whole: each time that they changed, as a snapshot of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.contracts import Interval
from core.errors import SourceError
from etl.sources.relation import Relation
from etl.sources.source import Plan, Position, Range, Session

_PART = "maas_part"
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """All rows of ``relation``, when they are others than those of the last snapshot, in whatever order they come.

    ``_source`` is ``TABLE@NUMBER`` and an offset counts within it; rows that went are missing from the next snapshot. A table
    without rows is no snapshot. With ``partition``, a column of integers and a count, as many tasks read at once, each by a
    statement of its own: rows that change meanwhile may be in none or two of them. Without, one statement reads all.
    """

    relation: Relation
    partition: tuple[str, int] | None = None
    _read: dict[str, DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:  # noqa: ARG002 — a snapshot knows no times
        """See Source.plan. Reads the rows, to tell whether they are others; ``read`` gives those very rows."""
        spark = session()
        number = position["snapshot"] + 1 if position else 1
        slices = self._slices(spark)
        with self.relation.database.failures(self.relation.table):
            rows = self._rows(spark, slices, number).localCheckpoint()
        count, digest = _digest(rows)
        if count == 0 or (position and position["digest"] == digest):
            return Plan((), position or {"snapshot": 0, "digest": digest})
        self._read.clear()
        self._read[digest] = rows
        ranges = (Range(f"{self.relation.table}@{number}", a, b) for a, b in slices)
        return Plan(tuple(ranges), {"snapshot": number, "digest": digest})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read: the rows that were planned by this very source; another reads those that are there now."""
        kept = self._read.get(plan.position["digest"])
        slices = [(one.start, one.end) for one in plan.ranges]
        return self._rows(spark, slices, plan.position["snapshot"]) if kept is None else kept

    def _rows(self, spark: SparkSession, slices: list[tuple[int, int]], number: int) -> DataFrame:
        relation = self.relation
        more = {_PART: relation.database.dialect.quoted(self.partition[0]) if self.partition else "1"}
        conditions = _conditions([end for _, end in slices[:-1]])
        rows = relation.records(spark, relation.types(spark), more, conditions, F.monotonically_increasing_id())
        return rows.withColumn("_source", F.lit(f"{relation.table}@{number}"))

    def _slices(self, spark: SparkSession) -> list[tuple[int, int]]:
        """Values ``start`` < v ≤ ``end`` of the column; the first also takes what is below and null, the last what is above."""
        if self.partition is None:
            return [(0, 0)]
        (name, count), relation = self.partition, self.relation
        relation.types(spark, name)
        dialect = relation.database.dialect
        column = dialect.quoted(name)
        query = (
            f"SELECT COUNT({column}) AS n, {dialect.text(f'MIN({column})')} AS lo, "  # noqa: S608 — names are quoted
            f"{dialect.text(f'MAX({column})')} AS hi FROM {relation.place}"
        )
        found, low, high = relation.database.query(spark, relation.table, query, ["n", "lo", "hi"])
        if int(found) == 0:
            return [(0, 0)]
        for value in (low, high):
            if not _INTEGER.fullmatch(value):
                raise SourceError(
                    f"the partition column {name!r} of table {relation.table!r} holds {value[:40]!r}: name one of integers"
                )
        first, last = int(low) - 1, int(high)
        edges = [first + (last - first) * i // count for i in range(count + 1)]
        return [(a, b) for a, b in pairwise(edges) if a < b]


def _digest(rows: DataFrame) -> tuple[int, str]:
    """How many rows there are, and what tells them from others, in any order: two sums of 64-bit hashes."""
    sums = (F.sum(F.xxhash64("value", F.lit(seed)).cast("decimal(38)")).cast("string").alias(f"sum{seed}") for seed in (1, 2))
    count, one, two = rows.agg(F.count("value"), *sums).collect()[0]
    return count, f"{count}:{one}:{two}"


def _conditions(edges: list[int]) -> list[str]:
    """Conditions of which each row holds one: up to the first edge (or null), between edges, above the last."""
    if not edges:
        return ["1 = 1"]
    between = [f"{_PART} > {a} AND {_PART} <= {b}" for a, b in pairwise(edges)]
    return [f"({_PART} <= {edges[0]} OR {_PART} IS NULL)", *between, f"{_PART} > {edges[-1]}"]
