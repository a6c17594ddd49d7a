"""Examples in a file of rules: a record, and what its table's rules must make of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from pydantic import model_validator

from core.config import Strict


class Example(Strict):
    """Either ``gives`` the values of some fields (and by which ``rule``), or the reason for which it is ``quarantined``."""

    record: str
    header: str | None = None
    """The header line of its file."""
    rule: str | None = None
    gives: dict[str, Any] | None = None
    quarantined: str | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.gives is None) == (self.quarantined is None):
            raise ValueError("an example has either 'gives', the values of fields, or 'quarantined', a reason")
        return self

    def check(self, fields: Collection[str], rules: Collection[str]) -> None:
        """Raise ValueError when it names a field or rule that is not there."""
        if unknown := sorted(set(self.gives or ()) - set(fields)):
            raise ValueError(f"example {self.record[:60]!r} names field {unknown[0]!r}, which no rule fills")
        if self.rule is not None and self.rule not in rules:
            raise ValueError(f"example {self.record[:60]!r} names rule {self.rule!r}: there are: {', '.join(rules)}")
