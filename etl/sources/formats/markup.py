"""XML files: each element of one name is a record, as its text stands in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.parsers import expat

from core.errors import SourceError
from etl.sources.text.cuts import LONGEST
from etl.sources.text.encodings import to_utf8

_BLOCK = 1 << 20
_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_TAG = re.compile(r"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")


class Elements:
    """What expat tells of the elements called ``tag``, with or without a prefix; those within one are a part of it."""

    def __init__(self, tag: str, where: str, encoding: str | None) -> None:
        self.parser = expat.ParserCreate(encoding and encoding.replace("utf-16-", "utf-16"))
        self.encoding = encoding or "utf-8"
        self.tag, self.where = tag, where
        self.found: list[tuple[int, int]] = []
        self.start: int | None = None
        self.depth = 0
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.XmlDeclHandler = self._declare
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _begin(self, name: str, _: dict[str, str]) -> None:
        if self.start is not None:
            self.depth += 1
        elif self.tag in {name, name.rpartition(":")[2]}:
            self.start, self.depth = self.parser.CurrentByteIndex, 0

    def _end(self, _: str) -> None:
        if self.start is None:
            return
        if self.depth:
            self.depth -= 1
            return
        self.found.append((self.start, self.parser.CurrentByteIndex))
        self.start = None

    def _declare(self, _: str, encoding: str | None, __: int) -> None:
        if self.encoding not in _MARKS.values():  # where "utf-16" tells no more
            self.encoding = encoding or self.encoding

    def _refuse(self, *_: Any) -> None:
        raise SourceError(f"{self.where}: has a document type (<!DOCTYPE), which could make it grow or reach out: take it out")


def read_elements(content: BinaryIO, where: str, tag: str, encoding: str | None = None) -> Iterator[tuple[int, bytes]]:
    """Where each record begins, and its text in UTF-8; the file says its encoding, unless one is given.

    Raises SourceError for a file that is not well-formed (XML 1.0), has a document type, or a record above 128 MiB.
    """
    elements = Elements(tag, where, encoding)
    content.seek(0)
    kept, base, block = bytearray(), 0, b"?"
    while block:
        block = content.read(_BLOCK)
        kept += block
        if not base and (mark := _MARKS.get(bytes(kept[:2]))):
            elements.encoding = mark
        try:
            elements.parser.Parse(block, not block)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise SourceError(f"{where}: is no well-formed XML: {error}: put a whole file there") from error
        for start, index in elements.found:
            end = base + _end_of(kept, start - base, index - base, elements.encoding)
            yield start, to_utf8(bytes(kept[start - base : end - base]), elements.encoding)
        elements.found.clear()
        done = elements.parser.CurrentByteIndex if elements.start is None else elements.start
        if done > base:
            del kept[: done - base]
            base = done
        if len(kept) > LONGEST:
            raise SourceError(
                f"{where}: the element at byte {base} is longer than {LONGEST} bytes: name the element of one record"
            )


def _end_of(kept: bytearray, start: int, index: int, encoding: str) -> int:
    """The end of an element whose end was told at ``index``: that of its end tag, or of ``<it/>``."""
    if kept.endswith("/>".encode(encoding), start, index) and _TAG.fullmatch(kept[start:index].decode(encoding, "replace")):
        return index
    close = ">".encode(encoding)
    return kept.index(close, index) + len(close)
