"""Tables of a database, read through Spark's JDBC by a strictly increasing integer column, or by intervals of time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.contracts import Interval
from core.errors import ConfigError, SourceError
from etl.sources import spans
from etl.sources.jdbc import Database
from etl.sources.relation import Relation
from etl.sources.source import Plan, Position, Range, Session

_MARK, _TIME = "maas_watermark", "maas_time"
_SLICE = 250_000
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """The rows of ``table`` with a watermark above the last one read; or with the time in ``interval``, where one is asked for.

    They are those of ``query``, a whole SELECT, where there is one; ``table`` is what messages and records call it then.

    ``url`` is ``sqlite:///ABSOLUTE_PATH`` or a ``jdbc:`` URL whose driver is among the session's jars. A row that comes later
    with a watermark below the last one read is not seen: the column must only grow, in the order of commits. Nor is a row that
    comes later into an interval that was read: an interval is read when it is over.
    """

    url: str
    table: str
    watermark: str
    columns: tuple[str, ...] | None = None
    interval: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    query: str | None = None

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:
        """See Source.plan. Raises SourceError for null, doubled or non-integer watermarks, ConfigError for lost columns.

        A position is the last watermark, or the intervals that were read. The two do not mix: ConfigError.
        """
        by_interval = interval is not None and self.interval is not None
        if position is not None and by_interval != ("intervals" in position):
            raise self._mixed(position)
        spark = session()
        types = self._relation.types(spark, *self._named)
        if interval is None or self.interval is None:
            return self._plan_on(spark, position)
        return self._plan_interval(spark, self._database.dialect.moment(self.interval, types[self.interval]), position, interval)

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read: each value is a JSON object with every column as text or null."""
        relation, dialect = self._relation, self._database.dialect
        types = relation.types(spark, *self._named)
        more = {_MARK: dialect.quoted(self.watermark)}
        if self.interval is not None:
            more[_TIME] = dialect.moment(self.interval, types[self.interval])
        return relation.records(spark, types, more, [self._condition(one) for one in plan.ranges], F.col(_MARK))

    def _plan_on(self, spark: SparkSession, position: Position | None) -> Plan:
        last = None if position is None else int(position["watermark"])
        mark = self._database.dialect.quoted(self.watermark)
        found = self._extent(spark, f"{mark} IS NOT NULL" if last is None else f"{mark} > {last}")
        if found is None:
            return Plan((), {"watermark": last})
        low, high, rows = found
        return Plan(self._slices(low - 1 if last is None else last, high, rows), {"watermark": high})

    def _plan_interval(self, spark: SparkSession, moment: str, position: Position | None, interval: Interval) -> Plan:
        self._require_times(spark, moment)
        covered = spans.from_json(position["intervals"]) if position else ()
        ranges: list[Range] = []
        for gap in spans.subtract(interval, covered):
            if found := self._extent(spark, self._inside(moment, gap)):
                low, high, rows = found
                ranges += self._slices(low - 1, high, rows, gap)
        done = spans.merge((*covered, interval)) if ranges else covered
        return Plan(tuple(ranges), {"intervals": spans.to_json(done)})

    def _slices(self, first: int, newest: int, rows: int, within: Interval | None = None) -> tuple[Range, ...]:
        slices = -(-rows // _SLICE)
        edges = [first + (newest - first) * i // slices for i in range(slices + 1)]
        return tuple(Range(self.table, a, b, within=within) for a, b in pairwise(edges) if a < b)

    def _extent(self, spark: SparkSession, where: str) -> tuple[int, int, int] | None:
        """Lowest and highest watermark of the rows that hold ``where``, and how many they are; None when there are none."""
        dialect, mark = self._database.dialect, self._database.dialect.quoted(self.watermark)
        count, distinct, low, high, nulls = self._database.query(
            spark,
            self.table,
            f"SELECT COUNT(*) AS n, COUNT(DISTINCT {mark}) AS k, {dialect.text(f'MIN({mark})')} AS lo, "  # noqa: S608 — names are quoted
            f"{dialect.text(f'MAX({mark})')} AS hi, (SELECT COUNT(*) FROM {self._place} WHERE {mark} IS NULL) AS z "
            f"FROM {self._place} WHERE {where}",
            ["n", "k", "lo", "hi", "z"],
        )
        if int(nulls):
            raise self._wrong(f"is null in {nulls} rows")
        if int(count) == 0:
            return None
        if int(distinct) < int(count):
            raise self._wrong(f"holds {int(count) - int(distinct)} values more than once")
        return self._integer(low), self._integer(high), int(count)

    def _require_times(self, spark: SparkSession, moment: str) -> None:
        query = f"SELECT COUNT(*) AS n FROM {self._place} WHERE {moment} IS NULL"  # noqa: S608 — names are quoted
        (count,) = self._database.query(spark, self.table, query, ["n"])
        if int(count):
            raise SourceError(
                f"the interval column {self.interval!r} of table {self.table!r} holds no time in {count} rows, which no interval "
                "would ever take: give them one, or name another column"
            )

    def _condition(self, one: Range) -> str:
        marks = f"{_MARK} > {one.start} AND {_MARK} <= {one.end}"
        return marks if one.within is None else f"{marks} AND {self._inside(_TIME, one.within)}"

    def _inside(self, moment: str, span: Interval) -> str:
        instant = self._database.dialect.instant
        return f"{moment} >= {instant(span.start)} AND {moment} < {instant(span.end)}"

    @property
    def _database(self) -> Database:
        return Database(self.url, self.user, self.password)

    @property
    def _relation(self) -> Relation:
        return Relation(self._database, self.table, self.query, self.columns)

    @property
    def _named(self) -> tuple[str, ...]:
        return (self.watermark,) if self.interval is None else (self.watermark, self.interval)

    @property
    def _place(self) -> str:
        return self._relation.place

    def _integer(self, text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise self._wrong(f"holds {text[:40]!r}, which is no integer")
        return int(text)

    def _wrong(self, what: str) -> SourceError:
        return SourceError(
            f"the watermark {self.watermark!r} of table {self.table!r} {what}: name a column of integers that is never null "
            "and grows with each row, such as its key"
        )

    def _mixed(self, position: Position) -> ConfigError:
        by_intervals = "intervals" in position
        done = (
            ", ".join("/".join(pair) for pair in position["intervals"]) if by_intervals else f"watermark {position['watermark']}"
        )
        other = "with --from and --to" if by_intervals else "without --from"
        return ConfigError(
            f"table {self.table!r} was read so far {'by intervals' if by_intervals else 'up to'} {done}, and rows would be read "
            f"twice if that changed: run {other}, or read it into another table by a source of another name"
        )
