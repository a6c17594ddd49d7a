"""Batch scoring: a bundle over a Spark table, by the predictor that answers online. Only jobs import this: it needs Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame, SparkSession, types
from pyspark.sql.functions import col, lit

from core.bundle import Bundle, open_bundle
from core.contracts import Column, Dtype
from core.errors import InputError
from core.features import arrow
from core.features.column import Array
from core.features.sql import name as quoted
from core.predictor import Predictor

_TAKES = {
    Dtype.BOOLEAN: ("boolean",),
    Dtype.INTEGER: ("int", "smallint", "tinyint"),
    Dtype.LONG: ("bigint", "int", "smallint", "tinyint"),
    Dtype.FLOAT: ("float", "smallint", "tinyint"),
    Dtype.DOUBLE: ("double", "float", "bigint", "int", "smallint", "tinyint"),
    Dtype.STRING: ("string",),
}
"""The Spark types that an input takes: its own, and those that mean the same in it."""

_ANSWERS: dict[Dtype, tuple[types.DataType, pa.DataType]] = {
    Dtype.BOOLEAN: (types.BooleanType(), pa.bool_()),
    Dtype.INTEGER: (types.IntegerType(), pa.int32()),
    Dtype.LONG: (types.LongType(), pa.int64()),
    Dtype.FLOAT: (types.FloatType(), pa.float32()),
    Dtype.DOUBLE: (types.DoubleType(), pa.float64()),
    Dtype.STRING: (types.StringType(), pa.string()),
}

_open: dict[str, Predictor] = {}
"""The one predictor of this worker process, under its bundle's digest. It outlives a task: a process serves many."""


def score(spark: SparkSession, df: DataFrame, bundle_path: Path, *, keys: list[str], model: str, version: int) -> DataFrame:
    """Answers for the raw records in ``df``: its ``keys``, the signature's outputs, ``model`` (string) and ``version`` (int).

    They are computed when the result is read; the order of rows within a partition is kept. Columns are found by name, and
    other columns left aside; an optional input may be absent. A row that lacks a required input has null answers. Raises
    InputError, before any job, for a column that is missing, doubled or of another type, and what ``open_bundle`` and
    ``Predictor`` raise for a bundle that cannot answer.
    """
    bundle = open_bundle(bundle_path)
    Predictor(bundle)
    inputs = _present(df, bundle.signature.inputs)
    _check_names([*keys, *(output.name for output in bundle.signature.outputs), "model", "version"], df, keys)
    # by position: mapInArrow finds no name with a dot in it, and a key may be an input too
    sent = [col(quoted(name)).alias(str(place)) for place, name in enumerate([*keys, *(column.name for column in inputs)])]
    key_fields = [field for key in keys for field in df.schema.fields if field.name == key]
    answers = [types.StructField(output.name, _ANSWERS[output.dtype][0]) for output in bundle.signature.outputs]
    scorer = _Scorer(spark.sparkContext.broadcast(bundle), bundle.digest, keys, inputs)
    scored = df.select(*sent).mapInArrow(scorer, types.StructType([*key_fields, *answers]))
    return scored.select("*", lit(model).alias("model"), lit(version).cast("int").alias("version"))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """What a worker runs over the batches of a partition: the keys' columns, then the inputs'."""

    bundle: Broadcast[Bundle]
    digest: str
    keys: list[str]
    inputs: tuple[Column, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        predictor = self._predictor()
        for batch in batches:
            yield self._answer(predictor, batch)

    def _predictor(self) -> Predictor:
        if self.digest not in _open:
            _open.clear()
            _open[self.digest] = Predictor(self.bundle.value, threads=1)
        return _open[self.digest]

    def _answer(self, predictor: Predictor, batch: pa.RecordBatch) -> pa.RecordBatch:
        first = len(self.keys)
        sent = {column.name: batch.column(first + place) for place, column in enumerate(self.inputs)}
        signature = predictor.bundle.signature
        columns = {column.name: _array(column, sent.get(column.name), batch.num_rows) for column in signature.inputs}
        answers = predictor.predict(columns)
        lacking = _lacking([sent[column.name] for column in signature.inputs if column.required])
        single = [answers] if answers.ndim == 1 else list(answers.T)
        written = [
            pa.array(answer, mask=lacking).cast(_ANSWERS[output.dtype][1])
            for output, answer in zip(signature.outputs, single, strict=True)
        ]
        return pa.RecordBatch.from_arrays(
            [*batch.columns[:first], *written], names=[*self.keys, *(output.name for output in signature.outputs)]
        )


def _array(column: Column, values: pa.Array | None, rows: int) -> Array:
    if values is not None:
        return arrow.array(values, column.dtype)
    return np.full(rows, None, object) if column.dtype is Dtype.STRING else np.full(rows, np.nan)


def _lacking(required: list[pa.Array]) -> NDArray[np.bool_] | None:
    """Which rows have null in any of these columns; None for no row."""
    nulls: list[Any] = [values.is_null().to_numpy(zero_copy_only=False) for values in required if values.null_count]
    return np.logical_or.reduce(nulls) if nulls else None


def _present(df: DataFrame, inputs: tuple[Column, ...]) -> tuple[Column, ...]:
    """The inputs that ``df`` has; raises InputError for those it should have, and those of another type."""
    found = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    wrong = [
        f"{column.name!r} is missing, expected {column.dtype}"
        if column.name not in found
        else f"{column.name!r} is {found[column.name]}, expected {column.dtype}"
        for column in inputs
        if (column.required or column.name in found) and found.get(column.name) not in _TAKES[column.dtype]
    ]
    if wrong:
        raise InputError(f"the table does not fit the model's signature: {'; '.join(wrong)}: rename or cast its columns")
    return tuple(column for column in inputs if column.name in found)


def _check_names(names: list[str], df: DataFrame, keys: list[str]) -> None:
    if absent := [key for key in keys if key not in df.columns]:
        raise InputError(f"the table has no column {', '.join(absent)}, named as key: it has {', '.join(df.columns)}")
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if lower.count(name.lower()) > 1}):
        raise InputError(f"the scored table would have {', '.join(twice)} twice: rename the key column")
