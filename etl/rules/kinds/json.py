"""Records that are one JSON object (RFC 8259); each field is a path into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, RuleSpec
from etl.rules.kinds.shape import Shape, is_object, read_object, walk

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,6})\]|\['([^'\\]+)'\]")


class JsonField(FieldSpec):
    """``path`` such as ``$.a.b[0]`` or ``$['a key'].b``; by default the key of the field's name.

    With ``explode``, ``@.a`` is a key of an item, and ``@`` the item.
    """

    path: str | None = None


class JsonRule(RuleSpec):
    """A value's text is a string's characters, or the JSON text of anything else; a missing key and null are null.

    ``explode`` is the path of an array, of which each item gives a row; without items the record gives one row. A record with
    something else than an array there, or among its items, is not taken.
    """

    kind: Literal["json"]
    explode: str | None = None
    fields: dict[str, JsonField] = Field(min_length=1)

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    @cached_property
    def _array(self) -> tuple[str | int, ...]:
        return parse_path(self.explode or "")

    @cached_property
    def _paths(self) -> dict[str, tuple[str | int, ...]]:
        return {name: self._path(spec.path or f"$.{name}") for name, spec in self.fields.items()}

    def _path(self, text: str) -> tuple[str | int, ...]:
        """A path from the record on; an item's is that of the first."""
        if not text.startswith("@"):
            return parse_path(text)
        if self.explode is None:
            raise ValueError(f"path {text!r} is of an item: name their array by 'explode'")
        return (*self._array, 0, *parse_steps(text))

    def _is_item(self, field: str) -> bool:
        return (self.fields[field].path or "").startswith("@")

    @cached_property
    def _shape(self) -> Shape:
        shape = Shape()
        for path in self._paths.values():
            shape.add(path)
        return shape

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        for name, spec in self.fields.items():
            try:
                Shape().add(self._path(spec.path or f"$.{name}"))
            except ValueError as error:
                raise RuleError(f"{where}: field {name!r}: {error}") from error
        if self.explode is not None and not any(map(self._is_item, self.fields)):
            raise RuleError(f"{where}: explode {self.explode!r}: no field reads an item: give one a path such as '@.name'")
        try:
            _ = self._shape
        except ValueError as error:
            raise RuleError(f"{where}: {error}") from error

    def parse(self, record: Record) -> Column:
        """The object, parsed once."""
        return read_object(record.text, self._shape, strict=self.is_many)

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return is_object(parsed, strict=self.is_many)

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        path = self._paths[field]
        if not self._is_item(field):
            return self._shape.column(parsed, path)
        item = F.get(self._shape.column(parsed, self._array), F.col("_item"))
        return walk(item, path[len(self._array) + 1 :])

    @property
    def is_many(self) -> bool:
        """Whether one record may give several rows."""
        return self.explode is not None

    def items(self, parsed: Column) -> Column:
        """How many rows a record gives that the rule takes."""
        return F.lit(1) if self.explode is None else F.coalesce(F.size(self._shape.column(parsed, self._array)), F.lit(0))


def parse_path(text: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path; raises ValueError with what is wrong."""
    steps = parse_steps(text) if text.startswith("$") else ()
    if not steps or isinstance(steps[0], int):
        raise ValueError(f"path {text!r} is not of the form $.a.b[0] or $['a key']")
    return steps


def parse_steps(text: str) -> tuple[str | int, ...]:
    """What stands behind the first sign of a path; raises ValueError with what is wrong."""
    steps: list[str | int] = []
    at = 1
    while at < len(text) and (match := _STEP.match(text, at)):
        steps.append(int(match[2]) if match[2] else match[1] or match[3])
        at = match.end()
    if at != len(text):
        raise ValueError(f"path {text!r} is not of the form {text[0]}.a.b[0] or {text[0]}['a key']")
    return tuple(steps)
