"""What every kind of rule offers to the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F

from core.config import Strict
from etl.rules.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Record:
    """The columns of a raw record: its text (null when it is no UTF-8) and the header line of its file (may be null)."""

    text: Column
    header: Column


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule did not take a record: asked only of records that no rule took."""

    condition: Column
    reason: str
    message: Column


class RuleSpec(Strict):
    """What the rules of every kind have; ``when`` is SQL on the record's text, which it names ``value``."""

    name: str
    when: str | None = None

    @property
    def is_many(self) -> bool:
        """Whether one record may give several rows."""
        return False

    def items(self, parsed: Column) -> Column:  # noqa: ARG002 — for the kinds that have some
        """How many rows a record gives that the rule takes."""
        return F.lit(1)

    def refusals(self, record: Record) -> tuple[Refusal, ...]:  # noqa: ARG002 — for the kinds that have some
        """Reasons more exact than that no rule took the record: none."""
        return ()


class Kind(Protocol):
    """A rule. ``parse`` is evaluated once a record; the other columns are read off its result."""

    @property
    def name(self) -> str:
        """Its name, which is in the rows that it takes."""
        ...

    @property
    def when(self) -> str | None:
        """SQL that must hold for the record, or None."""
        ...

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name, in order."""
        ...

    @property
    def is_many(self) -> bool:
        """Whether one record may give several rows."""
        ...

    def items(self, parsed: Column) -> Column:
        """How many rows a record gives that the rule takes; none is taken for one. Their place is in ``_item``, from 0."""
        ...

    def verify(self, where: str) -> None:
        """Raise RuleError, opening with ``where``, when the rule cannot run."""
        ...

    def parse(self, record: Record) -> Column:
        """The parsed record, of a type that only this rule knows."""
        ...

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form that the rule describes: true or false, never null."""
        ...

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field; null when the record has none."""
        ...

    def refusals(self, record: Record) -> tuple[Refusal, ...]:
        """Reasons more exact than that no rule took the record."""
        ...
