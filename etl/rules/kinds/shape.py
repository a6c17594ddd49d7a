"""The part of a JSON object that fields read, as a Spark schema of texts: an object is parsed once, and only that part kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType

# Spark's parser stops after the first value and ignores what follows: as a member between brackets of ours the record must be
# the whole of one value. The keys are short, as they are parsed with every record, and such as
# no record holds by chance.
_RECORD = "r~"
_END = "e~"
_DAMAGE = "d~"
# No JSON text holds these (RFC 8259), and Spark reads on past some of them with a part of the record lost.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_OPTIONS = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false", "mode": "PERMISSIVE"}


@dataclass(slots=True)
class Shape:
    """A tree of keys and indexes; a leaf is a text."""

    keys: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    is_text: bool = False

    def add(self, path: tuple[str | int, ...]) -> None:
        """Make room for a path; raises ValueError when one path leads through what another reads as a text."""
        if self.is_text if path else self.keys or self.items:
            raise ValueError("one path leads through what another reads as a value: read one of the two")
        if not path:
            self.is_text = True
            return
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            if self.keys:
                raise ValueError(f"a path takes [{step}] of what another path takes a key of")
            self.items = self.items or Shape()
            self.items.add(rest)
            return
        if self.items:
            raise ValueError(f"a path takes key {step!r} of what another path takes an index of")
        if near := [key for key in self.keys if key.lower() == step.lower() and key != step]:
            raise ValueError(f"keys {near[0]!r} and {step!r} differ only in case, which Spark cannot tell apart")
        if step not in self.keys:
            self.keys[step] = Shape()
        self.keys[step].add(rest)

    def schema(self) -> DataType:
        """The Spark type."""
        if self.items is not None:
            return ArrayType(self.items.schema())
        if self.keys:
            return StructType([StructField(key, shape.schema()) for key, shape in self.keys.items()])
        return StringType()

    def column(self, parsed: Column, path: tuple[str | int, ...]) -> Column:
        """The text at ``path``; null when any part of it is missing."""
        return walk(parsed.getField(_RECORD), path)


def walk(found: Column, path: tuple[str | int, ...]) -> Column:
    """What lies at ``path`` within ``found``; null when any part of it is missing."""
    for step in path:
        found = F.get(found, F.lit(step)) if isinstance(step, int) else found.getField(step)
    return found


def read_object(text: Column, shape: Shape, *, strict: bool = False) -> Column:
    """The wanted part of a text that is one JSON object; for ``is_object`` and ``Shape.column``.

    What is no array or object where the shape has one is null or, when ``strict``, makes the text no such object.
    """
    more = [StructField(_DAMAGE, StringType())] if strict else []
    schema = StructType([StructField(_RECORD, shape.schema()), StructField(_END, StringType()), *more])
    whole = F.concat(F.lit(f'{{"{_RECORD}":'), text, F.lit(f',"{_END}":"1"}}'))
    options = _OPTIONS | ({"columnNameOfCorruptRecord": _DAMAGE} if strict else {})
    return F.when(~F.rlike(text, F.lit(_CONTROL)), F.from_json(whole, schema, options))


def is_object(parsed: Column, *, strict: bool = False) -> Column:
    """Whether the text was one JSON object and nothing else; never null."""
    read = F.coalesce(parsed.getField(_END) == "1", F.lit(False)) & parsed.getField(_RECORD).isNotNull()
    return read & parsed.getField(_DAMAGE).isNull() if strict else read
