"""Foreign keys: columns whose values are all keys of another table, by two samples of the same hashes.

Both samples hold the texts with the smallest hashes: a text of one whose hash lies within the other's is in the other, if its
column has it. That values are included proves little where they are small numbers, so the name must speak for it as well
(Rostin et al., A machine learning approach to foreign key discovery, 2009).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from etl.discovery.columns.values import KEPT, Values
from etl.discovery.templates.sample import rank


@dataclass(frozen=True, slots=True)
class Inclusion:
    """All ``compared`` values of ``column`` that could be looked for are values of the key of ``table``."""

    column: str
    table: str
    key: str
    compared: int


def foreign_keys(columns: Mapping[str, Values], table: str, others: Mapping[str, Values]) -> Iterator[Inclusion]:
    """The columns that lead to the table of that name, whose columns are ``others``."""
    keys = {name: values for name, values in others.items() if _is_key(values)}
    for column, values in columns.items():
        for key, known in keys.items():
            if _speaks_for(column, table, key) and (compared := _compared(values, known)):
                yield Inclusion(column, table, key, compared)


def _is_key(values: Values) -> bool:
    kept = values.kept()
    return bool(kept) and not values.nulls and max(kept.values()) == 1


def _compared(values: Values, known: Values) -> int:
    """How many values are known, of those that can be looked for; 0 where one is not."""
    keys = known.kept()
    last = rank(next(reversed(keys))) if len(keys) == KEPT else None
    within = [text for text in values.kept() if last is None or rank(text) <= last]
    return len(within) if all(text in keys for text in within) else 0


def _speaks_for(column: str, table: str, key: str) -> bool:
    """Whether the column is named for the key (``customer_id``), or the table (``customer``, ``id_of_customer``)."""
    words = re.findall(r"[a-z0-9]+", column)
    singular = table.removesuffix("s")
    return (
        (column == key and key != "id")
        or singular in words
        or table in words
        or column in (f"{singular}_{key}", f"{singular}{key}")
    )
