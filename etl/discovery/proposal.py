"""What discovery proposes: rules and checks, each with what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from etl.discovery.templates.template import Template


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule as a rule file has it, and what speaks for it.

    ``support`` counts the mined records that it was made from, ``coverage`` is the share of held-out records that it takes before
    any other rule, ``precision`` the share of those that are of its kind and whose fields can all be read.
    """

    rule: dict[str, Any]
    template: str
    support: int
    coverage: float
    precision: float
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A check as a rule file has it, and one line about why it may be asked for."""

    check: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Candidates in the order in which they are to be tried, and templates that no safe pattern could be made for."""

    candidates: tuple[Candidate, ...]
    quarantined: float
    """The share of held-out records that no candidate takes, or whose fields cannot be read."""
    left_out: tuple[Template, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the rules should know: why this kind, what is not read."""

    def noted(self, *notes: str) -> Proposal:
        """The same with notes before its own."""
        return replace(self, notes=(*notes, *self.notes))

    def checked(self, *constraints: Constraint) -> Proposal:
        """The same with constraints after its own."""
        return replace(self, constraints=(*self.constraints, *constraints))
