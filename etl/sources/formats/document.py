"""JSON documents (RFC 8259): each element of an array is a record; or each value, where they stand one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from core.errors import SourceError
from etl.sources.text.encodings import to_utf8

_MOST = 256 << 20
_BLANK = re.compile(r"[ \t\r\n]*")
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False).raw_decode


def read_document(content: BinaryIO, size: int, where: str, encoding: str) -> Iterator[tuple[int, bytes]]:
    """Where each record begins, in bytes, and its text in UTF-8; bytes that are not of the encoding stay as they are.

    From where the document is damaged, the rest is one record: no rule takes it. Raises SourceError above 256 MiB.
    """
    if size > _MOST:
        raise SourceError(f"{where}: a JSON document of {size} bytes, more than {_MOST}: write JSON lines ('format: jsonl')")
    content.seek(0)
    data = content.read(size)
    try:
        text = data.decode(encoding, "surrogateescape")
    except UnicodeError:  # of encodings of more than a byte a character
        yield 0, to_utf8(data, encoding)
        return
    at = done = 0
    for start, end in _values(text):
        at += len(text[done:start].encode(encoding, "surrogateescape"))
        done = start
        yield at, text[start:end].encode("utf-8", "surrogateescape")


def _values(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each value; the last one is the damaged rest, if there is one."""
    at = _skip(text, 1 if text.startswith("\ufeff") else 0)
    in_array = text[at : at + 1] == "["
    at = _skip(text, at + in_array)
    while at < len(text):
        if in_array and text[at] == "]":
            at, in_array = _skip(text, at + 1), False
            continue
        try:
            _, end = _SCAN(text, at)
        except (ValueError, RecursionError):
            yield at, len(text)
            return
        yield at, end
        at = _skip(text, end)
        if in_array:
            if text[at : at + 1] == ",":
                at = _skip(text, at + 1)
            elif text[at : at + 1] != "]":
                yield from [(at, len(text))] if at < len(text) else []
                return


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
