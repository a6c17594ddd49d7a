"""What every text that a pattern matches holds: looked for first, it spares most matches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from etl.rules.patterns.syntax import Chars, Node, Sequence


def fixed_part(tree: Node) -> str:
    """The longest run of single characters that each match holds; empty when there is none."""
    runs = ("".join(map(str, run)) for is_fixed, run in groupby(_letters(tree), lambda letter: letter is not None) if is_fixed)
    return max(runs, key=len, default="")


def _letters(node: Node) -> Iterator[str | None]:
    """The characters of a match in order; None for what may differ."""
    match node:
        case Sequence(parts):
            for part in parts:
                yield from _letters(part)
        case Chars(((low, high),)) if low == high:
            yield chr(low)
        case _:
            yield None
