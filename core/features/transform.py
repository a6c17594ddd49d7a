"""What every kind of transform is: a class of one file, found by its name."""

from __future__ import annotations

import dataclasses
import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np

from core.contracts import Dtype
from core.errors import ConfigError, ModelError
from core.features.column import Array, ColumnMoments

NUMERIC = frozenset(Dtype) - {Dtype.STRING}
CATEGORICAL = frozenset({Dtype.STRING, Dtype.INTEGER, Dtype.LONG, Dtype.BOOLEAN})


class Need(StrEnum):
    """What a kind must know of a column before it can be fitted."""

    NOTHING = "nothing"
    NUMBERS = "numbers"
    CATEGORIES = "categories"


@dataclasses.dataclass(frozen=True, slots=True)
class Transform(ABC):
    """One column under one fitted transform. The fields of a kind, after ``dtype``, are its state: JSON-able values.

    A subclass names itself (``kind``), what it is fitted from (``need``), which columns it takes (``takes``), and its options
    with their defaults (``defaults``; a type instead of a value means that the option must be given).
    """

    kind: ClassVar[str]
    need: ClassVar[Need] = Need.NOTHING
    takes: ClassVar[frozenset[Dtype]] = NUMERIC
    defaults: ClassVar[Mapping[str, Any]] = {}

    dtype: Dtype

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ConfigError for options that are of the right type and still cannot be; most kinds have none."""
        _ = options

    @classmethod
    @abstractmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """The transform for a column with these moments; ``options`` hold every option of the kind."""

    @property
    @abstractmethod
    def suffixes(self) -> tuple[str, ...]:
        """What follows ``column__`` in the name of each output."""

    @abstractmethod
    def write(self, values: Array, out: Array) -> None:
        """Fill ``out``, [n, outputs], from a column array [n]."""

    def cells(self, value: Any) -> Sequence[float]:
        """What ``write`` fills in for one value: a float, or text. A kind that is read row by row overrides it for speed."""
        out = np.empty((1, len(self.suffixes)))
        self.write(np.array([value], object if self.dtype is Dtype.STRING else np.float64), out)
        return [float(cell) for cell in out[0]]

    @abstractmethod
    def sql(self, column: str) -> tuple[str, ...]:
        """A Spark SQL expression of type double for each output; ``column`` is its plain name."""

    def state(self) -> dict[str, Any]:
        """The JSON-able state, read back by ``load``."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init and f.name != "dtype"}

    @classmethod
    def load(cls, dtype: Dtype, state: Mapping[str, Any]) -> Self:
        """Read what ``state`` wrote; raises ModelError when fields are missing, unknown or of another type."""
        expected = sorted(f.name for f in dataclasses.fields(cls) if f.init and f.name != "dtype")
        if sorted(state) != expected:
            raise ModelError(f"{cls.kind}: the state has {sorted(state)}, expected {expected}")
        try:
            return cls(dtype, **state)
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{cls.kind}: the state is damaged: {error}") from error


def read_options(kind: type[Transform], options: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of ``kind``; raises ConfigError for an unknown, missing or mistyped one."""
    for name in options:
        if name not in kind.defaults:
            near = difflib.get_close_matches(name, kind.defaults, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(kind.defaults) or 'none'}"
            raise ConfigError(f"{kind.kind}: unknown option {name!r}: {hint}")
    read = {name: _read(kind, name, default, options) for name, default in kind.defaults.items()}
    kind.check(read)
    return read


def _read(kind: type[Transform], name: str, default: Any, options: Mapping[str, Any]) -> Any:
    wanted = default if isinstance(default, type) else type(default)
    if name not in options:
        if default is wanted:
            raise ConfigError(f"{kind.kind}: option {name!r} is missing: give a {wanted.__name__}")
        return default
    value: Any = options[name]
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(f"{kind.kind}: option {name!r} is {value!r}, expected a {wanted.__name__}")
    return value
