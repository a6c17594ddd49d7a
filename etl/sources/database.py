"""Tables of a database, read through Spark's JDBC by a strictly increasing integer column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError, SourceError
from core.lake.failures import root_cause
from etl.sources.dialect import Dialect, dialect_of, jdbc_url
from etl.sources.source import Plan, Position, Range

_MARK = "maas_watermark"
_SLICE = 250_000
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """The rows of ``table`` with a watermark above the last one read.

    ``url`` is ``sqlite:///ABSOLUTE_PATH`` or a ``jdbc:`` URL whose driver is among the session's jars. A row that comes later
    with a watermark below the last one read is not seen: the column must only grow, in the order of commits.
    """

    url: str
    table: str
    watermark: str
    columns: tuple[str, ...] | None = None

    def plan(self, spark: SparkSession, position: Position | None) -> Plan:
        """See Source.plan. Raises SourceError for null, doubled or non-integer watermarks, ConfigError for lost columns."""
        self._columns(spark)
        last = None if position is None else int(position["watermark"])
        count, distinct, low, high, nulls = self._extent(spark, last)
        if nulls:
            raise self._wrong(f"is null in {nulls} rows")
        if count == 0:
            return Plan((), {"watermark": last})
        if distinct < count:
            raise self._wrong(f"holds {count - distinct} values more than once")
        first = self._integer(low) - 1 if last is None else last
        newest = self._integer(high)
        slices = -(-count // _SLICE)
        edges = [first + (newest - first) * i // slices for i in range(slices + 1)]
        ranges = tuple(Range(self.table, a, b) for a, b in pairwise(edges) if a < b)
        return Plan(ranges, {"watermark": newest})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read: each value is a JSON object with every column as text or null."""
        columns = self._columns(spark)
        dialect = self._dialect
        fields = ", ".join(f"{dialect.value(name)} AS {dialect.quoted(name)}" for name in columns)
        marked = f"{dialect.quoted(self.watermark)} AS {_MARK}"
        slices = [f"{_MARK} > {one.start} AND {_MARK} <= {one.end}" for one in plan.ranges]
        with self._failures():
            rows = spark.read.jdbc(
                jdbc_url(self.url),
                f"(SELECT {marked}, {fields} FROM {self._place}) maas",  # noqa: S608 — names are quoted
                predicates=slices,
                properties={**self._driver, "customSchema": _texts([_MARK, *columns])},
            )
        record = F.struct(*(F.col(f"`{name}`") for name in columns))
        return rows.select(
            F.lit(self.table).alias("_source"),
            F.col(_MARK).cast("long").alias("_offset"),
            F.lit(None).cast("binary").alias("_header"),
            F.to_json(record, {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        )

    def _extent(self, spark: SparkSession, last: int | None) -> tuple[int, int, str, str, int]:
        """Of the rows after ``last``: how many, how many watermarks, the lowest, the highest; and how many null ones anywhere."""
        dialect, mark = self._dialect, self._dialect.quoted(self.watermark)
        after = "" if last is None else f" AND {mark} > {last}"
        row = self._query(
            spark,
            f"SELECT COUNT(*) AS n, COUNT(DISTINCT {mark}) AS k, {dialect.text(f'MIN({mark})')} AS lo, "  # noqa: S608 — names are quoted
            f"{dialect.text(f'MAX({mark})')} AS hi, (SELECT COUNT(*) FROM {self._place} WHERE {mark} IS NULL) AS z "
            f"FROM {self._place} WHERE {mark} IS NOT NULL{after}",
            ["n", "k", "lo", "hi", "z"],
        )
        return int(row[0]), int(row[1]), row[2], row[3], int(row[4])

    def _query(self, spark: SparkSession, query: str, names: Sequence[str]) -> list[str]:
        options = {"url": jdbc_url(self.url), "query": query, "customSchema": _texts(names), **self._driver}
        with self._failures():
            return list(spark.read.format("jdbc").options(**options).load().collect()[0])

    def _columns(self, spark: SparkSession) -> tuple[str, ...]:
        """The columns to read, held against those that are there: SQLite takes an unknown name in quotes for a text."""
        options = {"url": jdbc_url(self.url), "query": f"SELECT * FROM {self._place} WHERE 1 = 0", **self._driver}  # noqa: S608 — names are quoted
        with self._failures():
            there = spark.read.format("jdbc").options(**options).load().columns
        for name in (self.watermark, *(self.columns or ())):
            if name not in there:
                near = difflib.get_close_matches(name, there, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(there)}"
                raise ConfigError(f"table {self.table!r} has no column {name!r}: {hint}")
        return self.columns or tuple(there)

    @property
    def _dialect(self) -> Dialect:
        return dialect_of(self.url)

    @property
    def _place(self) -> str:
        return ".".join(self._dialect.quoted(part) for part in self.table.split("."))

    @property
    def _driver(self) -> dict[str, str]:
        return {"driver": "org.sqlite.JDBC"} if self._dialect.name == "sqlite" else {}

    def _integer(self, text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise self._wrong(f"holds {text[:40]!r}, which is no integer")
        return int(text)

    def _wrong(self, what: str) -> SourceError:
        return SourceError(
            f"the watermark {self.watermark!r} of table {self.table!r} {what}: name a column of integers that is never null "
            "and grows with each row, such as its key"
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise what the driver raises as SourceError, without the URL: it may hold a password."""
        try:
            yield
        except (PySparkException, Py4JError) as error:
            reason = root_cause(error).replace(self.url, "URL")
            raise SourceError(f"table {self.table!r} cannot be read ({self._dialect.name}): {reason}") from error


def _texts(names: Sequence[str]) -> str:
    """Spark's JDBC types for columns that are all text: left to itself it takes SQLite's expressions for numbers."""
    return ", ".join(f"`{name}` STRING" for name in names)
