"""Records that a regular expression matches as a whole; each field is a named group."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.kind import Record, Refusal, RuleSpec
from etl.rules.patterns.fixed import fixed_part
from etl.rules.patterns.grok import PatternText
from etl.rules.patterns.safety import SafePattern, check_pattern
from etl.rules.patterns.syntax import PatternError

MARK = "\u0001"
"""Stands before each group in what a match writes."""


class RegexField(FieldSpec):
    """``group`` defaults to the field's name. A group that took no part in the match is an empty text."""

    group: str | None = None


class RegexRule(RuleSpec):
    """Java's dialect, less what ``etl.rules.patterns`` leaves out; ``.`` matches no line end unless ``(?s)`` is set.

    ``%{NAME:group}`` stands for a pattern of the library in ``etl.rules.patterns.grok``.
    """

    kind: Literal["regex"]
    pattern: PatternText
    fields: dict[str, RegexField] = Field(min_length=1)

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    @cached_property
    def _safe(self) -> SafePattern:
        return check_pattern(self.pattern)

    @cached_property
    def _groups(self) -> tuple[str, ...]:
        """The groups that fields read, in the order in which they open: that is Java's numbering."""
        wanted = {spec.group or name for name, spec in self.fields.items()}
        return tuple(name for name in self._safe.pattern.names() if name in wanted)

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        shown = self.pattern if len(self.pattern) <= 200 else f"{self.pattern[:200]}…"  # noqa: PLR2004
        try:
            known = self._safe.pattern.names()
        except PatternError as error:
            raise RuleError(
                f"{where}: pattern, position {error.position}: {error.reason}; the pattern is {shown!r}", position=error.position
            ) from error
        for name, spec in self.fields.items():
            if (spec.group or name) not in known:
                raise RuleError(f"{where}: field {name!r}: the pattern has no group {spec.group or name!r}: {', '.join(known)}")

    @cached_property
    def java(self) -> str:
        """The pattern for Java, of a whole match, with the groups that fields read."""
        return self._safe.pattern.java(self._groups)

    @property
    def groups(self) -> int:
        """How many groups fields read."""
        return len(self._groups)

    def place(self, field: str) -> int:
        """The number of a field's group, from 1."""
        return 1 + self._groups.index(self.fields[field].group or field)

    def written(self, text: Column) -> Column:
        """The groups of a match with a mark before each; the text itself when it does not match."""
        return F.regexp_replace(text, self.java, "".join(f"{MARK}${n}" for n in range(1, 1 + self.groups)))

    def parse(self, record: Record) -> Column:
        """One match that writes the groups with a mark before each, then one split at the marks.

        The few records that hold a mark themselves are matched once a group.
        """
        text = record.text
        apart = F.array(F.lit(""), *(F.regexp_extract(text, self.java, n) for n in range(1, 1 + self.groups)))
        exact = F.when(F.rlike(text, F.lit(self.java)), apart).otherwise(F.array(F.lit("")))
        parsed = F.when(F.contains(text, F.lit(MARK)), exact).otherwise(F.split(self.written(text), MARK))
        if self._safe.longest is None:
            return parsed
        return F.when(F.length(text) <= self._safe.longest, parsed)

    def fits(self, record: Record) -> Column:
        """Whether the rule takes the record, by a match that writes nothing, where the text holds what every match holds."""
        safe, text = self._safe, record.text
        fits = F.rlike(text, F.lit(safe.pattern.java()))
        if part := fixed_part(safe.pattern.tree):
            fits = F.contains(text, F.lit(part)) & fits
        return fits if safe.longest is None else (F.length(text) <= safe.longest) & fits

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return F.coalesce(F.size(parsed) > 1, F.lit(False))

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        return F.get(parsed, F.lit(self.place(field)))

    def refusals(self, record: Record) -> tuple[Refusal, ...]:
        """Reasons more exact than that no rule took the record."""
        if self._safe.longest is None:
            return ()
        message = f"the record is longer than the {self._safe.longest:,} characters that rule {self.name} can be tried on"
        return (Refusal(F.length(record.text) > self._safe.longest, "no_rule", F.lit(message)),)
