"""Names for rules and fields, made of what stands in the data."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

LONGEST_NAME: Final = 40


def slug(text: str) -> str:
    """The text as a name that rules may have."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()).strip("_")[:LONGEST_NAME].strip("_")
    return plain if re.match("[a-z]", plain) and plain != "value" else f"field_{plain}".rstrip("_")


def unique(name: str, taken: Collection[str]) -> str:
    """The name, numbered where it is taken."""
    return next(one for i in range(1, len(taken) + 2) if (one := name if i == 1 else f"{name}_{i}") not in taken)
