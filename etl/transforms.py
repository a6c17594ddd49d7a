"""Fitted transforms on Spark: fitted in one pass over the data, applied as SQL expressions without Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy

import pyarrow as pa
from pyspark.sql import DataFrame, types
from pyspark.sql.functions import col, expr

from core.contracts import Column, Dtype
from core.errors import TableError
from core.features import arrow
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import FeaturePlan
from core.features.sql import name

_DTYPES: dict[type[types.DataType], Dtype] = {
    types.BooleanType: Dtype.BOOLEAN,
    types.ByteType: Dtype.INTEGER,
    types.ShortType: Dtype.INTEGER,
    types.IntegerType: Dtype.INTEGER,
    types.LongType: Dtype.LONG,
    types.FloatType: Dtype.FLOAT,
    types.DoubleType: Dtype.DOUBLE,
    types.StringType: Dtype.STRING,
}
_WHOLE = frozenset({Dtype.INTEGER, Dtype.LONG})
_REAL = _WHOLE | {Dtype.FLOAT, Dtype.DOUBLE}
_FITTING = {
    Dtype.BOOLEAN: frozenset({Dtype.BOOLEAN}),
    Dtype.INTEGER: _WHOLE,
    Dtype.LONG: _WHOLE,
    Dtype.FLOAT: _REAL,
    Dtype.DOUBLE: _REAL,
    Dtype.STRING: frozenset({Dtype.STRING}),
}
"""Which columns a transform takes that was fitted to this type: those whose values mean the same to it."""


def fit(df: DataFrame, plan: FeaturePlan) -> FittedFeatures:
    """The plan fitted to the rows of ``df``: one job, one pass, one small row from each partition.

    Raises ConfigError when the plan names a column that is absent or of a type that its kind does not take, and TableError
    naming the column for numbers beyond ±1e150.
    """
    moments = Moments(plan, columns_of(df))
    if moments.needed:
        # by position: mapInArrow finds no name with a dot in it
        columns = df.select(*(col(name(column.name)).alias(str(place)) for place, column in enumerate(moments.needed)))
        for row in columns.mapInArrow(_Gather(moments), "moments string, error string").collect():
            if row["error"]:
                raise TableError(row["error"])
            moments.add_json(json.loads(row["moments"]))
    return moments.finish()


def apply(df: DataFrame, fitted: FittedFeatures, *, as_float: bool = True) -> DataFrame:
    """``df`` with one column added for each output, FLOAT (or DOUBLE); never null.

    Raises TableError naming the columns when ``df`` lacks an input, has one of another type, or has a column of an output's name.
    """
    _check(df, fitted)
    number = "FLOAT" if as_float else "DOUBLE"
    added = [expr(f"CAST({text} AS {number})").alias(output) for output, text in fitted.sql().items()]
    return df.select("*", *added)


def columns_of(df: DataFrame) -> list[Column]:
    """The columns that transforms can read; those of other types (dates, decimals, structures) are left out."""
    return [Column(f.name, _DTYPES[type(f.dataType)], required=False) for f in df.schema.fields if type(f.dataType) in _DTYPES]


class _Gather:
    """What a worker runs: the moments of a partition as one row of JSON, or what is wrong with its data."""

    def __init__(self, empty: Moments) -> None:
        self._empty = empty

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        moments, error = deepcopy(self._empty), None
        try:
            for batch in batches:
                _gather(moments, batch)
        except TableError as refused:
            error = refused.message
        row = {"moments": [json.dumps(moments.to_json())], "error": pa.array([error], pa.string())}
        yield pa.RecordBatch.from_pydict(row)


def _gather(moments: Moments, batch: pa.RecordBatch) -> None:
    for column, values in zip(moments.needed, batch.columns, strict=True):
        if column.dtype is Dtype.STRING:
            moments.add_counts(column.name, arrow.counts(values))
        else:
            moments.add_column(column.name, arrow.array(values, column.dtype))


def _check(df: DataFrame, fitted: FittedFeatures) -> None:
    found = {column.name: column.dtype for column in columns_of(df)}
    spark_types = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    for column in fitted.inputs:
        if column.name not in spark_types:
            raise TableError(f"no column {column.name!r} ({column.dtype}): the transforms read it")
        if found.get(column.name) not in _FITTING[column.dtype]:
            other = spark_types[column.name]
            raise TableError(f"column {column.name!r} is {other}, the transforms were fitted to {column.dtype}: cast it first")
    taken = {column.lower() for column in df.columns}
    if twice := [output for output in fitted.outputs if output.lower() in taken]:
        raise TableError(f"the table has columns of the names that the transforms give: {', '.join(twice)}: rename them")
