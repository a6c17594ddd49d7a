"""Fitting a plan: one pass over column batches, in any split and order, then merged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from core.contracts import Column, Dtype
from core.errors import ConfigError, TableError
from core.features.categories import count_categories
from core.features.column import Array, ColumnMoments, Numbers
from core.features.fitted import Fitted, FittedFeatures
from core.features.plan import FeaturePlan, TransformPlan
from core.features.registry import find
from core.features.transform import Need, read_options


class Moments:
    """What has been seen of the columns that a plan names. Columns are shared: each is gathered once, whatever reads it."""

    def __init__(self, plan: FeaturePlan, columns: Iterable[Column]) -> None:
        """``columns`` are those of the data; raises ConfigError when the plan names one that is absent or of a wrong type."""
        self._plan = plan
        self._dtypes = _dtypes(plan, {column.name: column.dtype for column in columns})
        self._columns = {name: ColumnMoments(dtype) for name, dtype in self._dtypes.items()}
        self._needs: dict[str, set[Need]] = {name: set() for name in self._dtypes}
        for item in plan:
            for name in item.columns:
                self._needs[name].add(find(item.kind, ConfigError).need)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that the plan reads, in the order in which it first names them."""
        return tuple(Column(name, dtype, required=False) for name, dtype in self._dtypes.items())

    @property
    def needed(self) -> tuple[Column, ...]:
        """The inputs that anything is fitted from; the others need not be read."""
        return tuple(column for column in self.inputs if self._needs[column.name] != {Need.NOTHING})

    def add(self, columns: Mapping[str, Array]) -> None:
        """Take in a batch of column arrays. Raises TableError naming the column for numbers beyond ±1e150."""
        for column in self.needed:
            self.add_column(column.name, columns[column.name])

    def add_column(self, name: str, values: Array) -> None:
        """Take in one column's part of a batch."""
        if Need.CATEGORIES in self._needs[name]:
            self.add_counts(name, count_categories(self._dtypes[name], values))
        if Need.NUMBERS in self._needs[name]:
            try:
                self._columns[name].numbers.merge(Numbers.of(values))
            except TableError as error:
                raise TableError(f"column {name!r} {error.message}: drop or repair such rows by a rule", column=name) from error

    def add_counts(self, name: str, categories: Mapping[str, int]) -> None:
        """Take in the categories of one column's part of a batch, already counted."""
        self._columns[name].count(categories)

    def merge(self, other: Moments) -> None:
        """Take in what another part of the data gave, for the same plan."""
        for name, column in self._columns.items():
            column.merge(other._columns[name])

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, for carrying between processes."""
        return {name: [column.numbers.to_json(), column.categories] for name, column in self._columns.items()}

    def add_json(self, document: Mapping[str, Any]) -> None:
        """Take in what another process wrote by ``to_json``."""
        for name, (numbers, categories) in document.items():
            self._columns[name].numbers.merge(Numbers.from_json(numbers))
            self._columns[name].count(categories)

    def finish(self) -> FittedFeatures:
        """The fitted transforms. Without any row, all of them give 0.0 (``identity`` and ``cyclical`` learn nothing anyway)."""
        return FittedFeatures.of(self.inputs, [fitted for item in self._plan for fitted in self._fit(item)])

    def _fit(self, item: TransformPlan) -> Iterable[Fitted]:
        kind = find(item.kind, ConfigError)
        options = read_options(kind, item.options)
        for name in item.columns:
            yield Fitted(name, kind.fit(self._columns[name], options))


def _dtypes(plan: FeaturePlan, known: Mapping[str, Dtype]) -> dict[str, Dtype]:
    if not plan:
        raise ConfigError("the plan has no transform: name at least one")
    dtypes: dict[str, Dtype] = {}
    for item in plan:
        kind = find(item.kind, ConfigError)
        for name in item.columns:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
                raise ConfigError(f"transform {item.kind!r}: no column {name!r}: {hint}")
            if known[name] not in kind.takes:
                takes = ", ".join(sorted(kind.takes))
                raise ConfigError(f"transform {item.kind!r}: column {name!r} is {known[name]}; it takes {takes}")
            dtypes[name] = known[name]
    return dtypes
