r"""Records of pairs, such as ``level=info msg="it is up"`` (logfmt) or ``a:1;b:2``; each field is a key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, RuleSpec

# the repeat is counted: Java matches an endless repeat of a group by recursion, and its stack is short
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+){0,200}+"'


class KeyValueField(FieldSpec):
    """``key`` defaults to the field's name."""

    key: str | None = None


class KeyValueRule(RuleSpec):
    r"""Pairs and nothing else; of a key that stands twice the first value counts, and no order is asked for.

    ``separator`` stands between pairs (default: white space), ``assign`` between key and value. A value between double quotes
    may hold both; within it ``\`` keeps the next character as it is, up to two hundred times.
    """

    kind: Literal["keyvalue"]
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    assign: str = Field(default="=", min_length=1, max_length=1)
    fields: dict[str, KeyValueField] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        signs = (self.separator or " ", self.assign)
        if signs[0] == signs[1] or any(sign in '"\\' for sign in signs):
            raise ValueError(f"separator {signs[0]!r} and assign {signs[1]!r}: write two signs, neither of them a quote or \\")
        return self

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        for name, spec in self.fields.items():
            if not re.fullmatch(self._key, spec.key or name):
                raise RuleError(
                    f"{where}: field {name!r}: {spec.key!r} cannot be a key: it holds a separator, a quote or a space"
                )

    @cached_property
    def _gap(self) -> str:
        """What stands between pairs; in a run of white space it begins at the first, or each would be tried anew."""
        return rf"{re.escape(self.separator)}{self._space}" if self.separator else r"(?<!\s)\s++"

    @property
    def _space(self) -> str:
        """What may stand around separators and between key and value."""
        return r"\s*+" if self.separator and not self.separator.isspace() else ""

    @cached_property
    def _key(self) -> str:
        return rf'[^\s"{re.escape(self.assign + (self.separator or ""))}]++'

    @cached_property
    def _pair(self) -> str:
        """A key in the first group, a value in the second, after the gap before them and up to the gap behind."""
        last = rf"[^{re.escape(self.separator)}]" if self.separator else r"\S"
        value = rf'{_QUOTED}|(?!["\s]){last}++|'
        key = rf"({self._key}){self._space}{re.escape(self.assign)}{self._space}"
        return rf"(?:\A\s*+|{self._gap}){key}({value}){self._space}(?=\s*+\z|{self._gap})"

    def parse(self, record: Record) -> Column:
        """Keys and values, where nothing stands between the pairs but separators and white space."""
        keys, values = (F.regexp_extract_all(record.text, F.lit(self._pair), F.lit(group)) for group in (1, 2))
        between = F.regexp_replace(record.text, self._pair, "")
        nothing = F.rlike(between, F.lit(rf"\A[\s{re.escape(self.separator or '')}]*+\z"))
        return F.when(nothing & (F.size(keys) > 0), F.struct(keys.alias("keys"), values.alias("values")))

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return parsed.isNotNull()

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        place = F.array_position(parsed.getField("keys"), self.fields[field].key or field).cast("int")
        value = F.get(parsed.getField("values"), place - 1)
        within = F.regexp_replace(F.substr(value, F.lit(2), F.length(value) - 2), r"\\(.)", "$1")
        return F.when(F.startswith(value, F.lit('"')), within).otherwise(F.trim(value))
