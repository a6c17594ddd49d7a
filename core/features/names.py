"""Output names: safe as columns of any engine, and unique whatever the case."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 120


def unique(wanted: Iterable[str]) -> tuple[str, ...]:
    """The names with all but letters, digits and ``_`` replaced by ``_``, cut at 120 characters.

    Of names that are then equal but for case, the second gets ``_2`` at its end, and so on, in the order given.
    """
    taken: set[str] = set()
    names = []
    for text in wanted:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", text)[:_LONGEST]
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        names.append(name)
    return tuple(names)
