"""Reading a plan of a file source without Spark: as an executor does."""

import json
from typing import Any

import pyarrow as pa

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.source import Plan, Position, Session

Found = list[tuple[str, int, bytes | None, bytes]]


def no_session() -> Any:
    raise SourceError("planning files takes no Spark session")


SESSION: Session = no_session


def plan_after(source: FileSource, position: Position | None) -> Plan:
    """What is new after a position that has gone through JSON."""
    return source.plan(SESSION, json.loads(json.dumps(position)) if position is not None else None)


def read_plan(source: FileSource, plan: Plan) -> Found:
    """Its records: source, offset, header and value."""
    groups = [[one] for one in plan.ranges]
    numbers = pa.RecordBatch.from_arrays([pa.array(range(len(groups)), pa.int64())], names=["id"])
    batches = source.reader.read(groups, iter([numbers]))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
