"""Parquet and Avro: each row is a record, a JSON object of texts as rows of a database are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import SourceError

_ROWS = 4096
_DAMAGE = (
    *(pa.ArrowException, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType),
    *(OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError),
)


def row_group_starts(file: BinaryIO, where: str) -> list[int]:
    """Where each row group of a Parquet file begins, in bytes."""
    metadata = _parquet(file, where).metadata
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return [min(_first_byte(group.column(number)) for number in range(group.num_columns)) for group in groups]


def read_parquet(file: BinaryIO, start: int, end: int, where: str) -> Iterator[tuple[int, bytes]]:
    """The number of each row in the row groups that begin in [start, end), from 0 in the file, and the row."""
    table, row = _parquet(file, where), 0
    _require_names(table.schema_arrow.names, where)
    for number, begin in enumerate(row_group_starts(file, where)):
        if start <= begin < end:
            try:
                for batch in table.iter_batches(_ROWS, row_groups=[number]):
                    yield from enumerate(_rows(batch), row)
                    row += batch.num_rows
            except _DAMAGE as error:
                raise _damaged(where, "Parquet", error) from error
        else:
            row += table.metadata.row_group(number).num_rows


def read_avro(file: BinaryIO, where: str) -> Iterator[tuple[int, bytes]]:
    """The number of each record in an Avro object container file, from 0, and the record."""
    try:
        for number, row in enumerate(fastavro.reader(file)):
            yield number, json.dumps(plain(row if isinstance(row, dict) else {"value": row}), ensure_ascii=False).encode()
    except _DAMAGE as error:
        raise _damaged(where, "Avro", error) from error


def plain(value: Any) -> Any:
    """A value as JSON of texts: bytes in hexadecimal, times as ISO 8601 with a blank, instants with Z; null stays null."""
    for kind, write in _WRITTEN.items():
        if isinstance(value, kind):
            return write(value)
    return value if value is None else str(value)


def _moment(value: datetime) -> str:
    text = value.isoformat(" ")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


_WRITTEN: dict[type, Callable[[Any], Any]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    bytes: lambda value: value.hex().upper(),
    Decimal: lambda value: format(value, "f"),
    datetime: _moment,
    dict: lambda value: {str(key): plain(one) for key, one in value.items()},
    list: lambda value: [plain(one) for one in value],
    tuple: lambda value: [plain(one) for one in value],
    timedelta: lambda value: format(Decimal(value // timedelta(microseconds=1)).scaleb(-6), "f"),
    date: date.isoformat,
    time: time.isoformat,
}


def _rows(batch: pa.RecordBatch) -> Iterator[bytes]:
    columns = [_texts(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield json.dumps(dict(zip(batch.schema.names, row, strict=True)), ensure_ascii=False).encode()


def _texts(column: pa.Array) -> list[Any]:
    """A column's values as ``plain`` has them; nanoseconds, which Python's times lack, by Arrow."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            return _cut_zeros(column.cast(pa.string()).to_pylist())
        return _cut_zeros(column.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.string()).to_pylist())
    if pa.types.is_floating(kind):
        return column.cast(pa.float32() if pa.types.is_float16(kind) else kind).cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_map(kind):
        return [None if pairs is None else {str(plain(k)): plain(v) for k, v in pairs} for pairs in column.to_pylist()]
    return [plain(value) for value in column.to_pylist()]


def _cut_zeros(texts: list[str | None]) -> list[str | None]:
    """Times without the zeros at the end of their fraction."""
    return [text if text is None or "." not in text else _trim(text) for text in texts]


def _trim(text: str) -> str:
    zone = "Z" if text.endswith("Z") else ""
    return text.removesuffix("Z").rstrip("0").removesuffix(".") + zone


def _parquet(file: BinaryIO, where: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except _DAMAGE as error:
        raise _damaged(where, "Parquet", error) from error


def _first_byte(column: Any) -> int:
    return int(column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset)


def _require_names(names: list[str], where: str) -> None:
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{where}: has two columns {twins[0]!r}: give each a name of its own")


def _damaged(where: str, form: str, error: BaseException) -> SourceError:
    line = str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
    return SourceError(f"{where}: is no sound {form} file: {line}: put a whole one there")
