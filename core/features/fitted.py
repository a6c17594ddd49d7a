"""Fitted transforms: a JSON state that NumPy applies to rows here and Spark applies to tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from core.contracts import Column, Dtype
from core.errors import ModelError
from core.features import names
from core.features.column import Array
from core.features.program import Program
from core.features.registry import find
from core.features.transform import Transform

FORMAT = "maas-features/1"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A transform and the column that it reads."""

    column: str
    transform: Transform


@dataclass(frozen=True)
class FittedFeatures:
    """Raw columns → the matrix that a model reads. Instances are equal when their JSON is.

    A column array is float64 with NaN for missing where the column is numeric or boolean, and an object array of ``str |
    None`` where it is text. Infinities count as missing.
    """

    inputs: tuple[Column, ...]
    """The raw columns that are read, all optional."""
    transforms: tuple[Fitted, ...]
    outputs: tuple[str, ...]
    """Names in matrix order: ``distance__zscore``, ``origin__onehot__EWR``, ``hour__cyclical__sin``."""

    @classmethod
    def of(cls, inputs: tuple[Column, ...], transforms: Iterable[Fitted]) -> Self:
        """The transforms with their outputs named."""
        kept = tuple(transforms)
        wanted = (f"{item.column}__{suffix}" for item in kept for suffix in item.transform.suffixes)
        return cls(inputs, kept, names.unique(wanted))

    def values(self, columns: Mapping[str, Array]) -> npt.NDArray[np.float64]:
        """The matrix as float64 [n, outputs]; raises InputError for an absent column or columns of unequal length."""
        return self._program.run(columns, np.float64)

    def matrix(self, columns: Mapping[str, Array]) -> npt.NDArray[np.float32]:
        """``values`` rounded to float32, C-contiguous: what a model reads."""
        return self._program.run(columns, np.float32)

    def sql(self) -> dict[str, str]:
        """Output name → Spark SQL expression of type double with the same values: 1e-9 relative, exactly for categories."""
        texts = (text for item in self.transforms for text in item.transform.sql(item.column))
        return dict(zip(self.outputs, texts, strict=True))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON: the same on every machine."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return {
            "format": FORMAT,
            "inputs": [{"name": column.name, "type": column.dtype.value} for column in self.inputs],
            "transforms": [
                {"kind": item.transform.kind, "column": item.column, "state": item.transform.state()} for item in self.transforms
            ],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote; raises ModelError for another format, an unknown kind or a damaged state."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            found = document.get("format") if isinstance(document, Mapping) else type(document).__name__
            raise ModelError(f"the transforms are of format {found!r}, expected {FORMAT!r}: publish the model again")
        try:
            inputs = tuple(Column(c["name"], Dtype(c["type"]), required=False) for c in document["inputs"])
            dtypes = {column.name: column.dtype for column in inputs}
            transforms = tuple(
                Fitted(t["column"], find(t["kind"], ModelError).load(dtypes[t["column"]], t["state"]))
                for t in document["transforms"]
            )
            outputs = tuple(document["outputs"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the transforms are damaged: {error!r}") from error
        width = sum(len(item.transform.suffixes) for item in transforms)
        if width != len(outputs) or len({name.lower() for name in outputs}) < width or not transforms:
            raise ModelError(f"the transforms are damaged: {len(outputs)} output names for {width} outputs")
        return cls(inputs, transforms, outputs)

    @cached_property
    def _program(self) -> Program:
        steps, start = [], 0
        for item in self.transforms:
            end = start + len(item.transform.suffixes)
            steps.append((item.column, item.transform, slice(start, end)))
            start = end
        return Program(steps, start)
