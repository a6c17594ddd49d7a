"""Forms in which several words are values at once, so that hardly two forms agree in all words but one.

The words of a statement are in each of its forms, its values in few of them. Forms are held together by the pieces that are not
rare at their place; where many stay together and each other place has many different pieces, those places hold values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Final

from etl.discovery.templates.masking import MARK

MANY: Final = 20  # different pieces at each place that becomes a value
WORDS_KEPT: Final = 2
_LETTER = re.compile(r"[^\W\d_]")

Pieces = tuple[str, ...]


def rare_places(forms: Collection[Pieces]) -> dict[Pieces, set[int]]:
    """The places of values in forms of one skeleton; at first the rarest pieces are taken for values, then commoner ones."""
    if len(forms) < MANY:
        return {}
    times = [Counter(column) for column in zip(*forms, strict=True)]
    rare = 1
    while 2 * rare < len(forms):
        together: dict[Pieces, list[Pieces]] = defaultdict(list)
        for form in forms:
            together[tuple(MARK if times[i][piece] <= rare else piece for i, piece in enumerate(form))].append(form)
        found = {form: places for kept, held in together.items() for form, places in _values(kept, held)}
        if found:
            return found
        rare *= 2
    return {}


def _values(kept: Pieces, held: list[Pieces]) -> Iterator[tuple[Pieces, set[int]]]:
    words = sum(1 for piece in kept if piece != MARK and _LETTER.search(piece))
    columns = [set(column) - {MARK} for column in zip(*held, strict=True)]
    places = {i for i, piece in enumerate(kept) if piece == MARK and columns[i]}
    enough = len(held) >= MANY and WORDS_KEPT <= words > len(places) > 0
    if enough and 0 not in places and all(len(columns[i]) >= MANY for i in places):
        yield from ((form, places) for form in held)
