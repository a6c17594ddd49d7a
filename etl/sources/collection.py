"""A collection of MongoDB, read on by a field that grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from math import isfinite
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.collection import Collection
from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval
from core.errors import ConfigError, SourceError
from etl.sources.documents import Document, Server, from_canonical, read_ranges, to_canonical
from etl.sources.source import RECORD, Plan, Position, Range, Session

_SLICE = 50_000
_TIES = 10_000


@dataclass(frozen=True, slots=True)
class CollectionSource:
    """The documents that ``matching`` (a filter as canonical JSON) selects, each once.

    ``watermark`` is a field of ObjectIds, numbers or dates that grows; of documents with the newest value those that were read
    are remembered by ``_id``, so that others may come with the same. An offset counts the documents as they were read. A document
    that comes later with a value below the newest read is not seen: ``lag_s`` leaves those of the last seconds for later.
    """

    server: Server
    watermark: str = "_id"
    matching: str = "{}"
    fields: tuple[str, ...] | None = None
    lag_s: float = 0.0

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:  # noqa: ARG002 — documents come by watermark, and the server is asked without Spark
        """See Source.plan. Raises SourceError for a server that does not answer and for watermarks of other or several types."""
        known: Position = position or {"read": 0, "watermark": None, "ids": []}
        with self.server.documents() as documents:
            if not documents.database.list_collection_names(filter={"name": self.server.collection}):
                raise SourceError(f"{self.server.name}: no such collection: check the source's 'url' and 'collection'")
            newest = self._newest(documents)
            if newest is None:
                return Plan((), known)
            last = None if known["watermark"] is None else self._checked(from_canonical(known["watermark"]), newest)
            newest = newest if last is None else max(newest, last)  # the newest ones may have been deleted
            seen = [from_canonical(one) for one in known["ids"]] if newest == last else []
            fresh = self._ids(documents, newest, seen)
            parts = [*self._below(documents, last, newest, known), (self._at(newest, fresh), len(fresh))]
        ranges, read = [], int(known["read"])
        for condition, count in parts:
            if count:
                ranges.append(Range(self.server.collection, read, read + count, where=to_canonical(condition)))
                read += count
        ids = sorted(to_canonical(one) for one in (*seen, *fresh))
        return Plan(tuple(ranges), {"read": read, "watermark": to_canonical(newest), "ids": ids})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read: each value is a document as one JSON object, read by a task for each range."""
        indices = spark.range(0, len(plan.ranges), 1, len(plan.ranges))
        return indices.mapInArrow(partial(read_ranges, self.server, self.watermark, self.fields, plan.ranges), RECORD)

    def _newest(self, documents: Collection[Document]) -> Any:
        """The greatest watermark that is old enough; None when there is none. Raises SourceError for those that are none."""
        edges = [self._edge(documents, order, {}) for order in (pymongo.ASCENDING, pymongo.DESCENDING)]
        if edges[0] is None:
            return None
        low, high = (_value(edge, self.watermark) for edge in edges if edge is not None)
        self._checked(low, high)
        if not self.lag_s:
            return high
        until: Any = datetime.now(UTC) - timedelta(seconds=self.lag_s)
        if isinstance(high, ObjectId):
            until = ObjectId.from_datetime(until)
        elif not isinstance(high, datetime):
            raise ConfigError(
                f"{self.server.name}: 'lag_s' is for a watermark of dates or ObjectIds, and {self.watermark!r} is none"
            )
        edge = self._edge(documents, pymongo.DESCENDING, {self.watermark: {"$lt": until}})
        return None if edge is None else _value(edge, self.watermark)

    def _edge(self, documents: Collection[Document], order: int, condition: Document) -> Document | None:
        return documents.find_one(self._matched(condition), {self.watermark: 1}, sort=[(self.watermark, order)])

    def _below(self, documents: Collection[Document], last: Any, newest: Any, known: Position) -> Iterator[tuple[Document, int]]:
        """Conditions and counts of what is below the newest value: others with the last value, and slices above it."""
        if last == newest:
            return
        if last is not None:
            late = self._ids(documents, last, [from_canonical(one) for one in known["ids"]])
            yield self._at(last, late), len(late)
        above = {} if last is None else {"$gt": last}
        span = self._matched({self.watermark: {**above, "$lt": newest}})
        edges: list[Any] = []
        for nth in range(_SLICE, documents.count_documents(span), _SLICE):
            found = documents.find(span, {self.watermark: 1}).sort(self.watermark, pymongo.ASCENDING).skip(nth).limit(1)
            edges += [_value(edge, self.watermark) for edge in found]
        bounds = [above, *({"$gte": edge} for edge in dict.fromkeys(edges))]
        for begin, end in pairwise([*bounds, {"$gte": newest}]):
            condition = self._matched({self.watermark: {**begin, "$lt": end["$gte"]}})
            yield condition, documents.count_documents(condition)

    def _ids(self, documents: Collection[Document], value: Any, but: list[Any]) -> list[Any]:
        """The ``_id`` of each document with this watermark, except ``but``."""
        matched = self._matched({self.watermark: value, "_id": {"$nin": but}} if self.watermark != "_id" else {"_id": value})
        found = [one["_id"] for one in documents.find(matched, {"_id": 1}).limit(_TIES + 1)]
        if len(found) + len(but) > _TIES:
            raise SourceError(
                f"{self.server.name}: more than {_TIES:,} documents have the same {self.watermark!r}, {value}: name a finer "
                "watermark, such as '_id'"
            )
        return [one for one in found if one not in but]

    def _at(self, value: Any, ids: list[Any]) -> Document:
        chosen = {"_id": {"$in": ids}}
        return self._matched(chosen if self.watermark == "_id" else {self.watermark: value, **chosen})

    def _matched(self, condition: Document) -> Document:
        chosen: Document = from_canonical(self.matching)
        return {"$and": [chosen, condition]} if chosen and condition else chosen or condition

    def _checked(self, one: Any, other: Any) -> Any:
        """``one``; raises SourceError unless both are watermarks of one type."""
        kinds = {_kind(one), _kind(other)}
        if len(kinds) > 1 or None in kinds:
            wrong = one if _kind(one) is None else other
            what = "is missing in some" if wrong is None else f"is {type(one).__name__} and {type(other).__name__}"
            raise SourceError(
                f"{self.server.name}: the watermark {self.watermark!r} {what}: name a field that every document has, of "
                "ObjectIds, numbers or dates alone, or leave others out by 'filter'"
            )
        return one


def _kind(value: Any) -> str | None:
    if isinstance(value, ObjectId):
        return "ObjectId"
    if isinstance(value, datetime):
        return "date"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _value(document: Document, path: str) -> Any:
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
