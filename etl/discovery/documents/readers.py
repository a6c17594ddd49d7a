"""Ways to read a record as fields: JSON, separated values, pairs, columns of fixed width."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from etl.discovery.documents.tree import Number


class Reader(Protocol):
    """One way to read records."""

    def read(self, text: str) -> dict[str, Any] | None:
        """The fields of a record; None for one that is not of this form."""
        ...

    def is_header(self, text: str) -> bool:
        """Whether it is no record, but the names of columns."""
        ...

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        ...


@dataclass(frozen=True)
class JsonReader:
    """Records that are one JSON object; numbers stay as they are written."""

    def read(self, text: str) -> dict[str, Any] | None:
        """The object; None for all else (RFC 8259: no NaN)."""
        try:
            found = json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def is_header(self, text: str) -> bool:  # noqa: ARG002 — JSON has none
        """Never."""
        return False

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        return ["json"]


@dataclass(frozen=True)
class DelimitedReader:
    """Values between separators (RFC 4180), named by the header line that the records came with."""

    separator: str
    columns: tuple[str, ...]

    def read(self, text: str) -> dict[str, Any] | None:
        """The cells by column; None when there are more or fewer, or a quote is not closed."""
        cells = split(text, self.separator)
        return dict(zip(self.columns, cells, strict=True)) if cells and len(cells) == len(self.columns) else None

    def is_header(self, text: str) -> bool:
        """Whether the cells are the names."""
        return text.startswith(self.columns[0]) and split(text, self.separator) == list(self.columns)

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        return ["delimited", self.separator, self.columns]


@dataclass(frozen=True)
class SeparatedReader:
    """Values between separators, without quotes and without names."""

    separator: str
    width: int

    def read(self, text: str) -> dict[str, Any] | None:
        """The cells, numbered; None when there are more or fewer."""
        cells = text.split(self.separator)
        return {f"column_{i:03}": cell for i, cell in enumerate(cells, 1)} if len(cells) == self.width else None

    def is_header(self, text: str) -> bool:  # noqa: ARG002 — there is none
        """Never."""
        return False

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        return ["separated", self.separator, self.width]


@dataclass(frozen=True)
class PairsReader:
    """Pairs and nothing else, as rules of kind ``keyvalue`` read them."""

    separator: str | None
    assign: str

    @cached_property
    def _pair(self) -> re.Pattern[str]:
        apart = re.escape(self.separator or "")
        last = rf"[^{apart}]" if apart else r"\S"
        gap = rf"\s*{apart}\s*" if apart else r"\s+"
        key = rf'[^\s"{apart}{re.escape(self.assign)}]+'
        space = r"[^\S\t]*" if self.separator == "\t" else r"\s*" if apart else ""
        value = rf'"[^"\\]*(?:\\.[^"\\]*)*"|(?!["\s]){last}+|'
        return re.compile(rf"({key}){space}{re.escape(self.assign)}{space}({value})(?:{gap}|\s*\Z)", re.DOTALL)

    def read(self, text: str) -> dict[str, Any] | None:
        """The first value of each key; None when something else stands between pairs."""
        found: dict[str, Any] = {}
        at, end = len(text) - len(text.lstrip()), len(text.rstrip())
        while at < end:
            match = self._pair.match(text, at)
            if match is None:
                return None
            value = match[2]
            found.setdefault(match[1], re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value.strip())
            at = match.end()
        return found or None

    def is_header(self, text: str) -> bool:  # noqa: ARG002 — there is none
        """Never."""
        return False

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        return ["pairs", self.separator, self.assign]


@dataclass(frozen=True)
class FixedReader:
    """Columns between blanks that stand at the same places in all records; ``spans`` are (begin, end), the last to the end."""

    spans: tuple[tuple[int, int], ...]

    def read(self, text: str) -> dict[str, Any] | None:
        """The cells, numbered, without the blanks around them; None when something stands where a blank should."""
        starts = [start for start, _ in self.spans]
        gaps = any(text[end:start].strip(" ") for (_, end), (start, _) in pairwise(self.spans))
        if gaps or len(text) <= starts[-1] or text[: starts[0]].strip(" "):
            return None
        ends = [end for _, end in self.spans[:-1]] + [len(text)]
        return {f"column_{i:03}": text[a:b].strip(" ") for i, (a, b) in enumerate(zip(starts, ends, strict=True), 1)}

    def is_header(self, text: str) -> bool:  # noqa: ARG002 — there is none
        """Never."""
        return False

    def to_json(self) -> list[Any]:
        """What ``reader_of`` reads."""
        return ["fixed", self.spans]


JSON = JsonReader()


def reader_of(document: list[Any]) -> Reader:
    """Read what ``to_json`` wrote."""
    kind, *rest = document
    if kind == "delimited":
        return DelimitedReader(rest[0], tuple(rest[1]))
    if kind == "separated":
        return SeparatedReader(*rest)
    if kind == "pairs":
        return PairsReader(*rest)
    return FixedReader(tuple((a, b) for a, b in rest[0])) if kind == "fixed" else JSON


def split(text: str, separator: str) -> list[str] | None:
    """The cells of a line of CSV (RFC 4180); None when a quote is not closed or stands within a cell."""
    if '"' not in text:
        return text.split(separator)
    try:
        rows = list(csv.reader([text], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _refuse(text: str) -> Any:
    raise ValueError(text)
