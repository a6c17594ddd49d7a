"""What to fit: the ``standardize`` section of a pipeline file."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from core.config import Strict
from core.errors import ConfigError
from core.features.registry import find
from core.features.transform import read_options


class TransformPlan(Strict):
    """One kind over some columns. The kind and its options are checked when the plan is read."""

    kind: str
    columns: list[str] = Field(min_length=1)
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            read_options(find(self.kind, ConfigError), self.options)
        except ConfigError as error:
            raise ValueError(error.message) from error
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"{self.kind}: a column stands twice in {', '.join(self.columns)}")
        return self


FeaturePlan = tuple[TransformPlan, ...]
"""The transforms in matrix order: by plan, then by column, then by the outputs of each."""
