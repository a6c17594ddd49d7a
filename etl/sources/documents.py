"""Documents of MongoDB as JSON (Extended JSON v2), and the client that reads them, in drivers and executors alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pymongo
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, PyMongoError

from core.errors import SourceDown, SourceError
from etl.sources.source import RECORD, Range

Document = dict[str, Any]
_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_CANONICAL = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_OPTIONS: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 300_000}
_BATCH = 2_000
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Server:
    """A collection, and how to come to it: ``url`` names server and database, and holds no password."""

    url: str
    collection: str
    password: str | None = field(default=None, repr=False)

    @contextmanager
    def documents(self) -> Iterator[Collection[Document]]:
        """The collection, for the block; raises what goes wrong with it in one line: SourceDown, SourceError."""
        options = _OPTIONS if self.password is None else {**_OPTIONS, "password": self.password}
        try:
            with pymongo.MongoClient[Document](self.url, **options) as client:
                yield client.get_default_database(codec_options=_CODEC)[self.collection]
        except AutoReconnect as error:
            raise SourceDown(f"{self.name} cannot be read: {_line(error)}: see that the server runs, then run again") from error
        except (PyMongoError, BSONError) as error:
            raise SourceError(f"{self.name} cannot be read: {_line(error)}") from error

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"collection {self.collection!r} (MongoDB at {urlsplit(self.url).netloc.rpartition('@')[2]})"


def to_canonical(value: Any) -> str:
    """``value`` as JSON that ``from_canonical`` reads back with the same types."""
    return json_util.dumps(value, json_options=_CANONICAL)


def from_canonical(text: str) -> Any:
    """Read what ``to_canonical`` wrote."""
    return json_util.loads(text, json_options=_CANONICAL)


def from_yaml(document: Document) -> Document:
    """A filter as a YAML file holds it, with ``{$date: …}``, ``{$oid: …}`` and the like as values of their types."""
    return json_util.loads(json_util.dumps(document), json_options=_CANONICAL)  # type: ignore[no-any-return]


def to_relaxed(document: Document) -> bytes:
    """A document as one JSON object, in relaxed Extended JSON v2 and UTF-8, its keys in their order."""
    text = json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def read_ranges(
    server: Server, watermark: str, fields: tuple[str, ...] | None, ranges: Sequence[Range], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The records of the ranges whose indices stand in ``batches``, as RECORD."""
    for batch in batches:
        for index in batch.column(0).to_pylist():
            with server.documents() as documents:
                yield from _read_range(server, documents, watermark, fields, ranges[index])


def _read_range(
    server: Server, documents: Collection[Document], watermark: str, fields: tuple[str, ...] | None, one: Range
) -> Iterator[pa.RecordBatch]:
    at, values = one.start, []
    chosen = None if fields is None else {"_id": 0, **dict.fromkeys(fields, 1)}
    for document in documents.find(from_canonical(one.where or "{}"), chosen).sort(watermark, pymongo.ASCENDING):
        values.append(to_relaxed(document))
        if len(values) == _BATCH:
            yield _records(one.place, at, values)
            at, values = at + len(values), []
    yield _records(one.place, at, values)
    if at + len(values) != one.end:
        raise SourceError(
            f"{server.name}: {at + len(values) - one.start} documents are where {one.end - one.start} were when the run began: "
            "some were deleted meanwhile, or came below the newest: run again, and set 'lag_s' if writers are that late"
        )


def _records(place: str, start: int, values: list[bytes]) -> pa.RecordBatch:
    columns = [
        pa.repeat(pa.scalar(place, pa.string()), len(values)),
        pa.array(range(start, start + len(values)), pa.int64()),
        pa.nulls(len(values), pa.binary()),
        pa.array(values, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=RECORD.names)


def _line(error: Exception) -> str:
    details = getattr(error, "details", None)
    text = details.get("errmsg") if isinstance(details, dict) else None
    line = str(text or error).split("\n", 1)[0]
    return line.split(" (configured timeouts", 1)[0][:_SHOWN]  # and what the driver knows of each server
