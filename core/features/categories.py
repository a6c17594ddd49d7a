"""Categories as text, as what a column array holds, and in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

from core.contracts import Dtype
from core.features.column import Array
from core.features.sql import name

T = TypeVar("T")

EXACT = 2**53
"""Integers from here on are not exact as doubles: as categories they count as missing."""


def count_categories(dtype: Dtype, values: Array) -> dict[str, int]:
    """How often each category stands in ``values``: an object array of text, or a float64 array of integers or booleans.

    Numbers are named as Spark casts them to text: ``12``, ``true``. Missing values are left out.
    """
    if dtype is Dtype.STRING:
        return dict(Counter(value for value in values.tolist() if value is not None))
    numbers, times = np.unique(values[np.abs(values) < EXACT], return_counts=True)
    pairs = zip(numbers.tolist(), times.tolist(), strict=True)
    return {_text(dtype, number): count for number, count in pairs if number.is_integer()}


def by_value(dtype: Dtype, categories: Mapping[str, T]) -> dict[Any, T]:
    """The mapping keyed by what a column array holds: text, or a float for integers and booleans."""
    if dtype is Dtype.STRING:
        return dict(categories)
    if dtype is Dtype.BOOLEAN:
        return {float(category == "true"): value for category, value in categories.items()}
    return {float(int(category)): value for category, value in categories.items()}


def look_up(known: Mapping[Any, T], values: Array, missing: T) -> list[T]:
    """What is known of each row's category, else ``missing``."""
    return list(map(known.get, values.tolist(), repeat(missing)))


def most_frequent(categories: Mapping[str, int], limit: int) -> list[str]:
    """The most frequent categories first; equally frequent ones by name."""
    return sorted(categories, key=lambda category: (-categories[category], category))[:limit]


def text(column: str, dtype: Dtype) -> str:
    """SQL for a column's category as text."""
    return name(column) if dtype is Dtype.STRING else f"CAST({name(column)} AS STRING)"


def _text(dtype: Dtype, number: float) -> str:
    if dtype is Dtype.BOOLEAN:
        return "true" if number else "false"
    return str(int(number))
