"""The protocol of sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

RECORD = StructType(
    [
        StructField("_source", StringType()),
        StructField("_offset", LongType()),
        StructField("_header", BinaryType()),
        StructField("value", BinaryType()),
    ]
)
"""What ``Source.read`` gives: where a record came from, its byte offset or watermark, the CSV header line, and its bytes."""

Position = Mapping[str, Any]
"""How far a source has been read; JSON-able, and understood by that source only."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a source: bytes ``start`` ≤ offset < ``end`` of a file, or watermarks ``start`` < w ≤ ``end`` of a table."""

    place: str
    start: int
    end: int
    header: bytes | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is new: ranges in order, and the position to keep once they are committed. No ranges: nothing is new."""

    ranges: tuple[Range, ...]
    position: Position


class Source(Protocol):
    """Raw records with a memory that its caller keeps."""

    def plan(self, spark: SparkSession, position: Position | None) -> Plan:
        """What came after ``position`` (None: everything). Reads no more than it must.

        Raises SourceError when the source is missing, unreadable, or no longer what ``position`` speaks of.
        """
        ...

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """The records of the plan, as RECORD; running it raises SourceError when the source changed since it was planned."""
        ...
