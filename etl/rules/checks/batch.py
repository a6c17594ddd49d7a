"""What checks of the new rows as a whole look at, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pyspark.sql import DataFrame

from core.contracts import TableName
from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType


@dataclass(frozen=True, slots=True)
class Batch:
    """The good rows of the new records, with ``_batch`` and ``_ingested_at``, before they go into the table.

    ``size`` is their number; ``read`` gives the rows that a table has by now, None when there is none.
    """

    rows: DataFrame
    size: int
    into: TableName
    read: Callable[[TableName], DataFrame | None]


class BatchSpec(CheckSpec):
    """With ``severity: warn`` a failure is told and the rows are written; else it stops the step before anything is written."""

    severity: Literal["fail", "warn"] = "fail"

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Nothing can be wrong beyond the names."""


class BatchCheck(Protocol):
    """A check of all new rows of a table."""

    @property
    def name(self) -> str:
        """Its name, which is in the message."""
        ...

    @property
    def severity(self) -> Literal["fail", "warn"]:
        """Whether it stops the step."""
        ...

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError, opening with ``where``, when the check cannot run on fields of these types."""
        ...

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the new rows; None when nothing is."""
        ...
