"""A text must match a regular expression as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType
from etl.rules.patterns.grok import PatternText
from etl.rules.patterns.safety import SafePattern, check_pattern
from etl.rules.patterns.syntax import PatternError


class Form(CheckSpec):
    """Fails for a text that does not match, or is longer than the pattern may be tried on."""

    kind: Literal["pattern"]
    column: str
    pattern: PatternText

    @property
    def columns(self) -> tuple[str, ...]:
        """The field that it looks at."""
        return (self.column,)

    @cached_property
    def _safe(self) -> SafePattern:
        return check_pattern(self.pattern)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError when it cannot run."""
        if types[self.column] is not FieldType.STRING:
            raise RuleError(f"{where}: {self.column} is a {types[self.column]}: a pattern is for a string")
        try:
            _ = self._safe
        except PatternError as error:
            raise RuleError(
                f"{where}: pattern, position {error.position}: {error.reason}; the pattern is {self.pattern[:200]!r}",
                position=error.position,
            ) from error

    def fails(self) -> Column:
        """Whether the row fails."""
        text = F.col(self.column)
        unmatched = ~F.rlike(text, F.lit(self._safe.pattern.java()))
        if self._safe.longest is None:
            return unmatched
        return F.when(F.length(text) > self._safe.longest, F.lit(True)).otherwise(unmatched)

    def message(self) -> Column:
        """One line about a row that fails."""
        return F.concat(F.lit(f"{self.column} is "), F.left(F.col(self.column), F.lit(60)), F.lit(", not of the form asked for"))
