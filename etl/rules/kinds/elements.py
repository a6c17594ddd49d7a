"""The part of an XML element that fields read, as a Spark schema of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType

NAME = r"[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?"
_STEP = re.compile(rf"(?P<name>{NAME})(?:\[(?P<place>[1-9]\d{{0,5}})\])?|(?P<attribute>@{NAME})")

Path = tuple[tuple[str, int], ...]
"""Names, each with which of its elements is meant, from 0; an attribute's begins with ``@``."""


def parse_path(text: str) -> Path:
    """The steps of a path such as ``a/b[2]/@id``; raises ValueError with what is wrong."""
    parts = text.removesuffix("/text()").split("/")
    found = [_STEP.fullmatch(part) for part in parts]
    steps = [match for match in found if match is not None]
    if len(steps) < len(parts) or any(match["attribute"] for match in steps[:-1]):
        raise ValueError(f"path {text!r} is not of the form a/b[2], a/@id or @id")
    return tuple((match["attribute"] or match["name"], int(match["place"] or 1) - 1) for match in steps)


@dataclass(slots=True)
class Element:
    """What is read of an element: children, attributes, and its own text."""

    children: dict[str, Element] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    is_text: bool = False

    def add(self, path: Path) -> None:
        """Make room for a path; raises ValueError for names that Spark cannot tell apart."""
        if not path:
            self.is_text = True
            return
        name = path[0][0]
        if near := [other for other in (*self.children, *self.attributes) if other.lower() == name.lower() and other != name]:
            raise ValueError(f"names {near[0]!r} and {name!r} differ only in case, which Spark cannot tell apart")
        if name.startswith("@"):
            self.attributes.add(name)
        else:
            self.children.setdefault(name, Element()).add(path[1:])

    def schema(self, text: str) -> DataType:
        """The Spark type; ``text`` is the name of an element's own text beside children or attributes."""
        if self._is_leaf():
            return StringType()
        children = [StructField(name, ArrayType(child.schema(text))) for name, child in self.children.items()]
        return StructType([*children, *(StructField(name, StringType()) for name in [*sorted(self.attributes), text])])

    def column(self, found: Column, path: Path, text: str) -> Column:
        """The text at ``path`` below the element ``found``; null when any part of it is missing."""
        if not path:
            return found if self._is_leaf() else found.getField(text)
        name, place = path[0]
        if name.startswith("@"):
            return found.getField(name)
        return self.children[name].column(F.get(found.getField(name), F.lit(place)), path[1:], text)

    def _is_leaf(self) -> bool:
        return not self.children and not self.attributes
