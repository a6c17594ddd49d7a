"""The protocol of sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from core.contracts import Interval

RECORD = StructType(
    [
        StructField("_source", StringType()),
        StructField("_offset", LongType()),
        StructField("_header", BinaryType()),
        StructField("value", BinaryType()),
    ]
)
"""What ``Source.read`` gives: where a record came from, its offset there, what came with it, and its bytes.

The offset is a byte of a file, a watermark of a table, a row of a snapshot, a count of documents, or a Kafka offset. ``_header``
is a CSV file's header line, or of a Kafka record a JSON object: ``timestamp`` (ms since 1970 UTC), ``key`` and the values of
``headers`` in Base64. A null ``value`` is a Kafka tombstone.
"""

Position = Mapping[str, Any]
"""How far a source has been read; JSON-able, and understood by that source only."""

Session = Callable[[], SparkSession]
"""Gives the Spark session, which starts when it is first asked for: most sources can tell without it that nothing is new."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a source: ``start`` ≤ offset < ``end`` of a file or partition, or watermarks ``start`` < w ≤ ``end`` of a table.

    ``within`` narrows a table's range to rows whose interval column lies in it. ``mark`` is a digest by which a file's range is
    known again where the file was renamed; ``part`` is a member of an archive, ``encoding`` that of a text. ``where`` selects the
    documents of a collection's range: a filter of MongoDB as canonical JSON.
    """

    place: str
    start: int
    end: int
    header: bytes | None = None
    within: Interval | None = None
    mark: str | None = None
    part: str | None = None
    encoding: str = "utf-8"
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is new: ranges in order, and the position to keep once they are committed. No ranges: nothing is new."""

    ranges: tuple[Range, ...]
    position: Position


class Source(Protocol):
    """Raw records with a memory that its caller keeps."""

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:
        """What came after ``position`` (None: everything). Reads no more than it must.

        A source that knows the time of its records plans those of ``interval`` only; one that does not plans all that is new.
        Raises SourceError when the source is missing, unreadable, or no longer what ``position`` speaks of.
        """
        ...

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """The records of the plan, as RECORD; running it raises SourceError when the source changed since it was planned."""
        ...
