"""Which way of reading fits text: separators, pairs, or blanks that stand at the same places.

Separators by consistency: van den Burg, Nazábal and Sutton, Wrangling messy CSV files by detecting row and type patterns (2019).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from etl.discovery.columns.values import form_of
from etl.discovery.documents.readers import DelimitedReader, FixedReader, PairsReader, SeparatedReader, split
from etl.discovery.names import slug
from etl.discovery.values import word_for

SEPARATORS: Final = (",", ";", "\t", "|", "^", "~", "\x1f")
_PAIRS: Final = [(apart, assign) for assign in "=:" for apart in (None, ";", ",", "|", "&", "\t")]
_MOST_COLUMNS: Final = 250
_NAME = re.compile(r"[^\W\d][\w .()/%#-]{0,60}")


def separated(texts: Sequence[str]) -> tuple[str, int] | None:
    """The separator that makes the most consistent table of the lines, and its width; None when a line is best left whole."""
    scored = [(consistency(texts, separator), separator) for separator in SEPARATORS]
    best, separator = max(scored, key=lambda one: one[0])
    widths = Counter(len(split(text, separator) or ()) for text in texts)
    width = widths.most_common(1)[0][0] if widths else 0
    return (separator, width) if best > 0 and 1 < width <= _MOST_COLUMNS else None


def consistency(texts: Sequence[str], separator: str) -> float:
    """Pattern score times type score: lines of few different widths, the wider the better, of cells that say what they are."""
    widths: Counter[int] = Counter()
    known = cells = 0
    for text in texts:
        found = split(text, separator) or [text]
        widths[len(found)] += 1
        cells += len(found)
        known += sum(map(_is_known, found))
    if not cells:
        return 0.0
    pattern = sum(count * (width - 1) / width for width, count in widths.items()) / len(widths)
    return pattern * known / cells


def header_of(cells: Sequence[str], texts: Sequence[str], separator: str) -> tuple[str, ...] | None:
    """The names of columns, where the first line holds names and the others something else."""
    names = tuple(cell.strip() for cell in cells)
    if len({slug(name) for name in names}) < len(names) or not all(map(_NAME.fullmatch, names)):
        return None
    rows = [row for text in texts if (row := split(text, separator)) is not None and len(row) == len(names)]
    again = any(row[i] == cells[i] for row in rows for i in range(len(names)))
    return tuple(cells) if rows and not again else None


def delimited(texts: Sequence[str], header: str | None) -> DelimitedReader | None:
    """A reader for lines that came with a header line, or begin with one."""
    if header is None and len(texts) < 2:  # noqa: PLR2004  names, and one line below
        return None
    first, rest = (header, texts) if header is not None else (texts[0], texts[1:])
    found = separated(rest)
    cells = split(first.removeprefix("\ufeff"), found[0]) if found else None
    if found is None or cells is None or len(cells) != found[1]:
        return None
    names = tuple(cells) if header is not None else header_of(cells, rest, found[0])
    return DelimitedReader(found[0], names) if names and len(set(names)) == len(names) else None


def unnamed(texts: Sequence[str]) -> SeparatedReader | None:
    """A reader for lines of separated values without names and quotes."""
    found = separated(texts)
    return SeparatedReader(*found) if found else None


def pairs(texts: Sequence[str]) -> PairsReader | None:
    """A reader for pairs, where it takes lines of two pairs or more."""
    scored = [(_pairs_in(texts, PairsReader(*signs)), signs) for signs in _PAIRS]
    best, signs = max(scored, key=lambda one: one[0])
    return PairsReader(*signs) if best else None


def fixed(texts: Sequence[str]) -> FixedReader | None:
    """A reader for columns between blanks that all but one line in a hundred have; None when there are fewer than two columns."""
    lengths = sorted(map(len, texts))
    if not lengths:
        return None
    width = lengths[len(lengths) // 2]
    blanks = [sum(text[i : i + 1] in ("", " ") for text in texts) for i in range(min(width, 4096))]
    filled = [count * 100 < len(texts) * 99 for count in blanks]
    edges = [i for i, (before, after) in enumerate(pairwise([False, *filled, False])) if before != after]
    spans = tuple(zip(edges[::2], edges[1::2], strict=True))
    return FixedReader(spans) if 1 < len(spans) <= _MOST_COLUMNS else None


def _pairs_in(texts: Sequence[str], reader: PairsReader) -> int:
    found = [len(pairs) for text in texts if (pairs := reader.read(text)) is not None]
    return sum(found) if sum(found) > len(found) else 0


def _is_known(cell: str) -> bool:
    """Whether a cell is empty, of a type, of a form with a name, or one word."""
    text = cell.strip()
    return not text or not re.search(r"\s", text) or form_of(text)[0] != "string" or word_for([text]) != "text"
