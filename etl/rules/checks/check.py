"""What every check offers: names in, a Column out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyspark.sql import Column

from core.config import Strict
from etl.rules.fields import FieldType


class CheckSpec(Strict):
    """``name`` is in the reason of a quarantined row: ``check:NAME``."""

    name: str


class RowCheck(Protocol):
    """A check of single rows. A null value passes: ``not_null`` is a check of its own."""

    @property
    def name(self) -> str:
        """Its name, which is in the reason of a quarantined row."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields it names; SQL may use more."""
        ...

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError, opening with ``where``, when the check cannot run on fields of these types."""
        ...

    def fails(self) -> Column:
        """Whether the row fails; null counts as no."""
        ...

    def message(self) -> Column:
        """One line about a row that fails."""
        ...
