"""Units of numbers: what a field is measured in, and what the table is to hold."""

from __future__ import annotations

import difflib
from fractions import Fraction
from typing import Self

from pydantic import Field, model_validator
from pyspark.sql import Column

from core.config import Strict

_FACTORS: dict[str, dict[str, str]] = {
    "time": {"ns": "1/1000000000", "us": "1/1000000", "ms": "1/1000", "s": "1", "min": "60", "h": "3600", "d": "86400"},
    "size": {"B": "1", "kB": "1e3", "MB": "1e6", "GB": "1e9", "TB": "1e12"}
    | {unit: str(1024**power) for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
    "length": {"mm": "0.001", "cm": "0.01", "m": "1", "km": "1000"}
    | {"in": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344", "nmi": "1852"},
    "speed": {"m/s": "1", "km/h": "5/18", "mph": "0.44704", "kn": "463/900"},
    "mass": {"mg": "0.000001", "g": "0.001", "kg": "1", "t": "1000", "oz": "0.028349523125", "lb": "0.45359237"},
    "pressure": {"Pa": "1", "hPa": "100", "kPa": "1000", "bar": "100000"},
    "temperature": {"K": "1", "C": "1", "F": "5/9"},
}
_ZEROS = {"C": Fraction("273.15"), "F": Fraction("459.67") * Fraction(5, 9)}
UNITS = {unit: (quantity, Fraction(factor)) for quantity, units in _FACTORS.items() for unit, factor in units.items()}


class Unit(Strict):
    """A number written in ``from`` is held in ``to``, another unit of the same quantity: ``{from: ms, to: s}``."""

    source: str = Field(alias="from")
    to: str

    @model_validator(mode="after")
    def _alike(self) -> Self:
        for unit in (self.source, self.to):
            if unit not in UNITS:
                near = difflib.get_close_matches(unit, UNITS, n=1, cutoff=0.4)
                raise ValueError(f"there is no unit {unit!r}: {f'did you mean {near[0]!r}?' if near else ', '.join(UNITS)}")
        if UNITS[self.source][0] != UNITS[self.to][0]:
            raise ValueError(f"{self.source} is a unit of {UNITS[self.source][0]} and {self.to} one of {UNITS[self.to][0]}")
        return self

    def convert(self, value: Column) -> Column:
        """``value`` in the unit that the table holds: one rounding more than the exact ratio asks for, at most."""
        (_, factor), (_, wanted) = UNITS[self.source], UNITS[self.to]
        ratio = factor / wanted
        shift = (_ZEROS.get(self.source, Fraction(0)) - _ZEROS.get(self.to, Fraction(0))) / wanted
        if ratio.numerator != 1:
            value = value * float(ratio.numerator)
        if ratio.denominator != 1:
            value = value / float(ratio.denominator)
        return value + float(shift) if shift else value
