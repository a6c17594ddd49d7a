"""Bytes into records: where each begins and ends. Vectorised; knows nothing of files and Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
Integers = npt.NDArray[np.int64]


class Format(StrEnum):
    """How records stand in a file."""

    JSONL = "jsonl"
    CSV = "csv"
    LOG = "log"
    TEXT = "text"
    JSON = "json"
    XML = "xml"
    PARQUET = "parquet"
    AVRO = "avro"

    @property
    def is_lines(self) -> bool:
        """Whether files of the format may grow, line by line; the others are read whole."""
        return self in {Format.JSONL, Format.CSV, Format.LOG, Format.TEXT}


@dataclass(frozen=True, slots=True)
class Records:
    """``values``: binary array of n records without their line ends; ``starts``: int64 [n] where each began in the buffer."""

    starts: Integers
    values: pa.Array


def split_records(buffer: bytes, form: Format, separator: bytes = b",") -> Records:
    """The records in ``buffer``, which begins at the start of one. Ends are LF or CR LF (RFC 4180 for CSV: not within quotes).

    The bytes are taken as they are, valid UTF-8 or not. Empty lines are records of logs and texts, nothing in JSON lines, CSV.
    """
    data = np.frombuffer(buffer, np.uint8)
    ends = record_ends(buffer, form, separator)
    starts, stops = np.append(0, ends + 1), np.append(ends, len(data))
    if starts[-1] == len(data):  # the last line has its end
        starts, stops = starts[:-1], stops[:-1]
    lengths = stops - starts
    returned = (lengths > 0) & (data[np.maximum(stops - 1, 0)] == _RETURN)
    lengths -= returned
    keep = np.ones(len(data), bool)
    keep[ends] = False
    keep[stops[returned] - 1] = False
    if form in {Format.JSONL, Format.CSV}:
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    values = pa.Array.from_buffers(pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data[keep])])
    return Records(starts, values)


def record_ends(buffer: bytes, form: Format, separator: bytes = b",") -> Integers:
    """Where the newline bytes are that end a record."""
    ends = np.flatnonzero(np.frombuffer(buffer, np.uint8) == _NEWLINE)
    return _outside_quotes(buffer, ends, separator) if form is Format.CSV and _QUOTE in buffer else ends


def _outside_quotes(buffer: bytes, ends: Integers, separator: bytes) -> Integers:
    """The newlines that stand in no quoted field. A quote that is not closed as RFC 4180 says spoils its own line only."""
    quotes = np.flatnonzero(np.frombuffer(buffer, np.uint8) == _QUOTE)
    inside = np.zeros(len(ends), bool)
    whole = _record(separator)
    done = -1
    for line in np.unique(np.searchsorted(ends, quotes)).tolist():  # the lines with a quote
        if line > done:
            start = int(ends[line - 1]) + 1 if line else 0
            record = whole.match(buffer, start)
            done = int(np.searchsorted(ends, record.end())) if record else line
            inside[line:done] = True
    return ends[~inside]


@cache
def _record(separator: bytes) -> re.Pattern[bytes]:
    """A CSV record; atomic throughout: linear time, whatever the bytes."""
    end = re.escape(separator)
    field = rb'(?>"(?:[^"]++|"")*+"(?=[' + end + rb"\n]|\r\n|\r?\Z)|[^" + end + rb"\n]*+)"
    return re.compile(field + b"(?:" + end + field + b")*+")
