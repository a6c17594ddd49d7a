"""Records that are one JSON object (RFC 8259); each field is a path into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field
from pyspark.sql import Column

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, RuleSpec
from etl.rules.kinds.shape import Shape, is_object, read_object

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,6})\]|\['([^'\\]+)'\]")


class JsonField(FieldSpec):
    """``path`` such as ``$.a.b[0]`` or ``$['a key'].b``; by default the key of the field's name."""

    path: str | None = None


class JsonRule(RuleSpec):
    """A value's text is a string's characters, or the JSON text of anything else; a missing key and null are null."""

    kind: Literal["json"]
    fields: dict[str, JsonField] = Field(min_length=1)

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    @cached_property
    def _paths(self) -> dict[str, tuple[str | int, ...]]:
        return {name: parse_path(spec.path or f"$.{name}") for name, spec in self.fields.items()}

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
                path = parse_path(spec.path or f"$.{name}")
                Shape().add(path)
            except ValueError as error:
                raise RuleError(f"{where}: field {name!r}: {error}") from error
        try:
            _ = self._shape
        except ValueError as error:
            raise RuleError(f"{where}: {error}") from error

    def parse(self, record: Record) -> Column:
        """The object, parsed once."""
        return read_object(record.text, self._shape)

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return is_object(parsed)

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        return self._shape.column(parsed, self._paths[field])


def parse_path(text: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path; raises ValueError with what is wrong."""
    steps: list[str | int] = []
    at = 1
    while at < len(text) and (match := _STEP.match(text, at)):
        steps.append(int(match[2]) if match[2] else match[1] or match[3])
        at = match.end()
    if not text.startswith("$") or at != len(text) or not steps or isinstance(steps[0], int):
        raise ValueError(f"path {text!r} is not of the form $.a.b[0] or $['a key']")
    return tuple(steps)
