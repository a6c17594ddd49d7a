"""The newest row must not be old when it comes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.checks.batch import Batch, BatchSpec
from etl.rules.fields import FieldType

_SPAN = r"(\d{1,6})(s|min|h|d)"
_WORDS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


class Freshness(BatchSpec):
    """Fails when the newest of the new rows lies more than ``max_age`` (``90s``, ``15min``, ``2h``, ``3d``) back.

    That is from its ``column`` to the moment at which the newest of them was ingested.
    """

    kind: Literal["freshness"]
    column: str
    max_age: str = Field(pattern=f"^{_SPAN}$")

    @property
    def columns(self) -> tuple[str, ...]:
        """The field that it looks at."""
        return (self.column,)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError when it cannot run."""
        if types[self.column] not in (FieldType.DATE, FieldType.TIMESTAMP):
            raise RuleError(f"{where}: {self.column} is a {types[self.column]}: freshness is for a date or timestamp")

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the new rows; None when nothing is."""
        newest, ingested = F.max(F.col(self.column).cast("timestamp")), F.max("_ingested_at")
        age = F.unix_micros(ingested) - F.unix_micros(newest)
        found = batch.rows.agg(age.alias("age"), F.date_format(newest, "yyyy-MM-dd HH:mm:ss").alias("newest")).head()
        if batch.size == 0 or found is None:
            return None
        if found["age"] is None:
            return f"no row has a {self.column}, so how old they are cannot be told"
        old = timedelta(microseconds=found["age"])
        if old <= self._span():
            return None
        hours = old / timedelta(hours=1)
        return (
            f"the newest {self.column} is {found['newest']}, {hours:,.1f} hours before it was ingested (max_age {self.max_age})"
        )

    def _span(self) -> timedelta:
        match = re.fullmatch(_SPAN, self.max_age)
        return timedelta() if match is None else timedelta(**{_WORDS[match[2]]: int(match[1])})
