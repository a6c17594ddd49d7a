"""Texts in other encodings than UTF-8: how their lines are found, and how they become UTF-8."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from etl.sources.records import Integers

UTF8 = "utf-8"
AUTO = "auto"

_HEAD = 1 << 16
_ASCII = (bytes(range(128)), b'\x1b$B$"\x1b(B', b"~{<:~}", b"\\u0041", b"xn--tda")  # with what other encodings take for shifts
_ESCAPES = {"unicode-escape", "raw-unicode-escape", "punycode", "idna"}
_OTHER = 0x80
_MARK = 0xFEFF
_WIDTHS = {"utf-16": 2, "utf-32": 4}
_MARKS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32-le",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def check_encoding(name: str) -> str:
    """The canonical name of an encoding whose lines can be told apart; raises ValueError for others."""
    if name == AUTO:
        return name
    try:
        "".encode(name)
        known = codecs.lookup(name).name
    except (LookupError, UnicodeError):
        raise ValueError(f"{name!r} is no encoding of text that Python knows: write one such as latin-1, or auto") from None
    if known == "utf-8-sig":
        return UTF8
    if known in _ESCAPES or (_width(known) == 1 and not _is_ascii(known) and _table(known) is None):
        raise ValueError(f"{name!r}: lines cannot be told apart in it: convert the files to UTF-8")
    return known


def resolve(encoding: str, file: BinaryIO) -> str | None:
    """The encoding of this file: ``auto`` looks at its first 64 KiB, ``utf-16`` and ``utf-32`` at its byte order mark.

    None while nothing is there to look at. A file that nobody can tell is UTF-8: what is not ends in quarantine.
    """
    if encoding != AUTO and encoding not in _WIDTHS:
        return encoding
    file.seek(0)
    head = file.read(_HEAD)
    if not head:
        return None
    found = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if encoding in _WIDTHS:
        return found if found and found.startswith(encoding) else f"{encoding}-le"
    return found or _guess(head)


def _guess(head: bytes) -> str:
    try:
        codecs.getincrementaldecoder(UTF8)().decode(head)
    except UnicodeError:
        pass
    else:
        if b"\0" not in head:
            return UTF8
    from charset_normalizer import from_bytes  # noqa: PLC0415 — loaded where it is used

    best = from_bytes(head[: len(head) - len(head) % 4]).best()
    try:
        return UTF8 if best is None else check_encoding(best.encoding.replace("_", "-"))
    except ValueError:
        return UTF8


def to_utf8(value: bytes, encoding: str) -> bytes:
    """The text in UTF-8. Bytes that are not of the encoding stay as they are.

    Should they be UTF-8 by chance, a byte FF follows them: nobody is to read them as what they are not.
    """
    try:
        return value.decode(encoding).encode()
    except UnicodeError:
        pass
    try:
        value.decode()
    except UnicodeError:
        return value
    return value + b"\xff"


@dataclass(frozen=True, slots=True)
class Narrow:
    """Units of a file as bytes, one each: ASCII is itself, all else 80. Lines and quotes stand where they stand in the text.

    ``width`` is the bytes of a unit.
    """

    encoding: str

    @property
    def width(self) -> int:
        """How many bytes a unit has."""
        return _width(self.encoding)

    @property
    def is_plain(self) -> bool:
        """Whether the bytes themselves will do: ASCII bytes are ASCII, wherever they stand."""
        return self.width == 1 and _is_ascii(self.encoding)

    def units(self, data: bytes) -> bytes:
        """The units of ``data``, whose length is a multiple of the width."""
        if self.is_plain:
            return data
        if self.width == 1:
            return data.translate(_table(self.encoding))
        order = ">" if self.encoding.endswith("be") else "<"
        codes = np.frombuffer(data, f"{order}u{self.width}")
        return np.where(codes < _OTHER, codes, _OTHER).astype(np.uint8).tobytes()

    def file(self, file: BinaryIO) -> BinaryIO:
        """The file in units."""
        return file if self.is_plain else cast("BinaryIO", NarrowFile(file, self))

    def texts(self, buffer: bytes, starts: Integers, narrow: pa.Array) -> pa.Array:
        """The records of ``buffer`` in UTF-8, of which ``narrow`` holds the units and ``starts`` where they begin."""
        if len(starts) == 0 or (self.is_plain and (self.encoding == UTF8 or buffer.isascii())):
            return narrow
        lengths = np.diff(np.frombuffer(narrow.buffers()[1], np.int32, len(narrow) + 1, narrow.offset * 4))
        edges = zip((starts * self.width).tolist(), ((starts + lengths) * self.width).tolist(), strict=True)
        return pa.array([to_utf8(buffer[a:b], self.encoding) for a, b in edges], pa.binary())


class NarrowFile(io.RawIOBase):
    """What ``Narrow.file`` gives: offsets and sizes are units."""

    def __init__(self, file: BinaryIO, narrow: Narrow) -> None:
        super().__init__()
        self._file, self._narrow = file, narrow

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a unit, from the beginning."""
        return self._file.seek(offset * self._narrow.width, whence) // self._narrow.width

    def read(self, size: int = -1, /) -> bytes:
        """The next units."""
        data = self._file.read(size * self._narrow.width)
        return self._narrow.units(data[: len(data) - len(data) % self._narrow.width])

    def begins_with_mark(self) -> bool:
        """Whether the first unit is a byte order mark."""
        self._file.seek(0)
        mark = self._file.read(self._narrow.width)
        return self._narrow.width > 1 and mark == chr(_MARK).encode(self._narrow.encoding)


def _width(name: str) -> int:
    return next((width for start, width in _WIDTHS.items() if name.startswith(start)), 1)


def _is_ascii(name: str) -> bool:
    """Whether ASCII bytes are ASCII text, in any order and by themselves."""
    try:
        return all(probe.decode(name) == probe.decode("ascii") for probe in _ASCII)
    except UnicodeError:
        return False


def _table(name: str) -> bytes | None:
    """The ASCII character that each byte is, 80 for others, as in EBCDIC; None for an encoding that is not of that kind."""
    every = bytes(range(256))
    text = every.decode(name, "replace")
    if len(text) != len(every) or text != every[::-1].decode(name, "replace")[::-1]:
        return None
    table = bytes(ord(letter) if letter.isascii() else _OTHER for letter in text)
    return table if b"\n" in table and b"A" in table and table[ord("A")] != ord("A") else None
