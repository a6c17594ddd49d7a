"""Raw records into the lake, exactly once: the rows and the source's next position are one Delta commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.contracts import Interval, TableName
from core.errors import SourceDown
from core.lake.catalog import Lake
from core.lake.tables import append
from core.retries import persist
from etl.sources.source import Position, Session, Source

RAW_COLUMNS = ("_source", "_offset", "_batch", "_ingested_at", "_header", "value")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one run added: ``batch`` is its number (the last one's when nothing was new), ``version`` the table's newest."""

    batch: int
    rows: int
    version: int | None
    position: Position


def ingest(
    session: Session,
    lake: Lake,
    source: Source,
    into: TableName,
    *,
    app: str,
    interval: Interval | None = None,
    patience_s: float = 20.0,
) -> Ingested:
    """Append what ``source`` has that ``app`` has not ingested yet to the raw table ``into``.

    With an ``interval``, a source that knows the time of its records adds those of that time only; the others add all.

    May be killed anywhere and run again, or run twice at once: each record is there once. Nothing new makes no commit. A source
    whose server goes away is tried again for ``patience_s``. Raises SourceError, TableError or DiskFull; then the table is as it
    was.
    """
    with lake.exclusive(into):
        return persist(
            lambda: _land(session, lake, source, into, app=app, interval=interval),
            lambda error: isinstance(error, SourceDown),
            wait_s=patience_s,
        )


def _land(session: Session, lake: Lake, source: Source, into: TableName, *, app: str, interval: Interval | None) -> Ingested:
    """One attempt, with the table's lock held."""
    while True:
        facts = lake.facts(into, app)
        position, batch = (facts["position"], int(facts["number"])) if facts else (None, 0)
        before = lake.info(into).rows if lake.exists(into) else 0
        plan = source.plan(session, position, interval)
        if not plan.ranges:
            return Ingested(batch, 0, lake.version(into), position or plan.position)
        rows = _stamped(source.read(session(), plan), batch + 1)
        commit = append(lake, rows, into, app=app, number=batch + 1, facts={"position": plan.position})
        if commit.written:  # else a run that was killed got its commit through while this one planned
            return Ingested(batch + 1, lake.info(into).rows - before, commit.version, plan.position)


def _stamped(records: DataFrame, batch: int) -> DataFrame:
    now = datetime.now(UTC)
    stamped = records.withColumn("_batch", F.lit(batch).cast("long")).withColumn("_ingested_at", F.lit(now))
    return stamped.select(*RAW_COLUMNS)
