"""Files of lines: where records begin and end in the bytes of a file, and what they say in UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO, Self

from core.errors import SourceError
from etl.sources.logs.multiline import Starts
from etl.sources.records import Format, Records, split_records
from etl.sources.text.cuts import cut, last_end, read_header, resume, skip_end, skip_mark
from etl.sources.text.encodings import UTF8, Narrow, resolve, to_utf8


@dataclass(frozen=True, slots=True)
class Lines:
    """How lines become records. All offsets are bytes.

    CSV has ``separator`` between fields; it has a header line, unless ``columns`` say what would stand there. Of a log, records
    begin where ``starts`` says, by default with each line.
    """

    form: Format
    encoding: str = UTF8
    separator: str = ","
    columns: tuple[str, ...] | None = None
    starts: Starts | None = None

    def of(self, file: BinaryIO, where: str, encoding: str | None = None) -> Self:
        """The same for this file, whose encoding may have been decided before."""
        return self.within(encoding or resolve(self.encoding, file) or UTF8, where)

    def within(self, encoding: str, where: str) -> Self:
        """The same in an encoding; raises SourceError where records of several lines cannot be found in it."""
        if self.starts is not None and not Narrow(encoding).is_plain:
            raise SourceError(f"{where}: is {encoding}, in which records of several lines are not found: convert it to UTF-8")
        return replace(self, encoding=encoding, starts=self.starts and replace(self.starts, encoding=encoding))

    def head(self, file: BinaryIO, size: int, where: str, *, whole: bool = False) -> tuple[bytes | None, int]:
        """The header in UTF-8, and where records begin; (None, size) while the header line is not finished."""
        units, width = self._narrow.file(file), self._narrow.width
        if self.form is not Format.CSV:
            return None, skip_mark(units) * width
        if self.columns is not None:
            return self._header(), skip_mark(units) * width
        header, start = read_header(units, size // width, where, separator=self._separator, whole=whole)
        if header is None:
            return None, size
        if self.encoding != UTF8:
            file.seek(skip_mark(units) * width)
            header = to_utf8(file.read(len(header) * width), self.encoding)
        return header, start * width

    def last_end(self, file: BinaryIO, start: int, end: int) -> int:
        """The end of the last line in [start, end) that has one."""
        width = self._narrow.width
        return last_end(self._narrow.file(file), start // width, end // width) * width

    def resume(self, file: BinaryIO, start: int, end: int, where: str) -> int:
        """See ``cuts.resume``."""
        width = self._narrow.width
        return resume(self._narrow.file(file), start // width, end // width, where) * width

    def skip_end(self, file: BinaryIO, start: int, end: int) -> int:
        """Past the line end, if there is one, that came after what was read up to ``start``."""
        width = self._narrow.width
        found = skip_end(self._narrow.file(file), start // width, end // width)
        return start if found is None else found * width

    def ranges(self, file: BinaryIO, start: int, end: int, where: str) -> Iterator[tuple[int, int]]:
        """[start, end) in parts of some MiB, each of whole records."""
        width = self._narrow.width
        if self.starts is not None:
            return pairwise([start, *self.starts.cuts(file, start, end, where), end])
        cuts = cut(self._narrow.file(file), start // width, end // width, self.form, where, separator=self._separator)
        return pairwise([start, *(at * width for at in cuts), end])

    def records(self, buffer: bytes) -> Records:
        """The records in ``buffer``, which begins at the start of one."""
        narrow = self._narrow
        units = narrow.units(buffer[: len(buffer) - len(buffer) % narrow.width])
        found = self.starts.merge(units) if self.starts else split_records(units, self.form, self._separator)
        return Records(found.starts * narrow.width, narrow.texts(buffer, found.starts, found.values))

    @property
    def _narrow(self) -> Narrow:
        return Narrow(self.encoding)

    @property
    def _separator(self) -> bytes:
        return self.separator.encode()

    def _header(self) -> bytes:
        line = io.StringIO()
        csv.writer(line, delimiter=self.separator, lineterminator="").writerow(self.columns or ())
        return line.getvalue().encode()
