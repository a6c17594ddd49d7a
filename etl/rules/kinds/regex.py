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
from etl.rules.patterns.grok import PatternText
from etl.rules.patterns.safety import SafePattern, check_pattern
from etl.rules.patterns.syntax import PatternError

_MARK = "\u0001"


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

    def parse(self, record: Record) -> Column:
        """One match that writes the groups with a mark before each, then one split at the marks.

        The few records that hold a mark themselves are matched once a group.
        """
        java = self._safe.pattern.java(self._groups)
        numbers = range(1, len(self._groups) + 1)
        written = F.regexp_replace(record.text, java, "".join(f"{_MARK}${n}" for n in numbers))
        apart = F.array(F.lit(""), *(F.regexp_extract(record.text, java, n) for n in numbers))
        exact = F.when(F.rlike(record.text, F.lit(java)), apart).otherwise(F.array(F.lit("")))
        parsed = F.when(F.contains(record.text, F.lit(_MARK)), exact).otherwise(F.split(written, _MARK))
        if self._safe.longest is None:
            return parsed
        return F.when(F.length(record.text) <= self._safe.longest, parsed)

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        return F.coalesce(F.size(parsed) > 1, F.lit(False))

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        return F.get(parsed, F.lit(1 + self._groups.index(self.fields[field].group or field)))

    def refusals(self, record: Record) -> tuple[Refusal, ...]:
        """Reasons more exact than that no rule took the record."""
        if self._safe.longest is None:
            return ()
        message = f"the record is longer than the {self._safe.longest:,} characters that rule {self.name} can be tried on"
        return (Refusal(F.length(record.text) > self._safe.longest, "no_rule", F.lit(message)),)
