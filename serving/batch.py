"""Batch scoring: a bundle over a Spark table, by the predictor that answers online. Only jobs import this: it needs Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame, SparkSession, types
from pyspark.sql.functions import array, col, lit

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
    groups = _grouped(df, bundle.signature.inputs)
    outputs = bundle.signature.outputs
    _check_names([*keys, *(output.name for output in outputs), "model", "version"], df, keys)
    # Spark moves one array of k numbers in two thirds of the time of k columns; mapInArrow itself finds no name with a dot
    packed = [array(*(col(quoted(column.name)) for column in group)).alias(f"group{place}") for place, group in enumerate(groups)]
    sent = df.select(*(col(quoted(key)).alias(f"key{place}") for place, key in enumerate(keys)), *packed)
    answers = [types.StructField(output.name, _ANSWERS[output.dtype][0]) for output in outputs]
    schema = types.StructType([*(df.schema[key] for key in keys), *answers])
    scored = sent.mapInArrow(_Scorer(spark.sparkContext.broadcast(bundle), bundle.digest, schema.names, groups), schema)
    return scored.select("*", lit(model).alias("model"), lit(version).cast("int").alias("version"))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """What a worker runs over the batches of a partition: the keys' columns, then an array column for each group of inputs."""

    bundle: Broadcast[Bundle]
    digest: str
    names: list[str]
    groups: list[list[Column]]

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
        signature = predictor.bundle.signature
        columns = {column.name: _absent(column, batch.num_rows) for column in signature.inputs if not column.required}
        lacking = np.zeros(batch.num_rows, np.bool_)
        keys = len(batch.columns) - len(self.groups)
        for group, packed in zip(self.groups, batch.columns[keys:], strict=True):
            values = packed.flatten()
            table = arrow.array(values, group[0].dtype).reshape(batch.num_rows, len(group))
            columns |= {column.name: table[:, place] for place, column in enumerate(group)}
            if values.null_count and (required := [place for place, column in enumerate(group) if column.required]):
                nulls = values.is_null().to_numpy(zero_copy_only=False).reshape(table.shape)
                lacking |= nulls[:, required].any(axis=1)
        answers = predictor.predict(columns).reshape(batch.num_rows, -1)
        written = [_written(answers[:, place], lacking, output) for place, output in enumerate(signature.outputs)]
        return pa.RecordBatch.from_arrays([*batch.columns[:keys], *written], names=self.names)


def _absent(column: Column, rows: int) -> Array:
    return np.full(rows, None, object) if column.dtype is Dtype.STRING else np.full(rows, np.nan)


def _written(answer: Array, lacking: Array, output: Column) -> pa.Array:
    return pa.array(np.ascontiguousarray(answer), mask=lacking).cast(_ANSWERS[output.dtype][1])


def _grouped(df: DataFrame, inputs: tuple[Column, ...]) -> list[list[Column]]:
    """The inputs that ``df`` has, those of one Spark type together."""
    groups: dict[str, list[Column]] = {}
    for column in _present(df, inputs):
        groups.setdefault(df.schema[column.name].dataType.simpleString(), []).append(column)
    return list(groups.values())


def _present(df: DataFrame, inputs: tuple[Column, ...]) -> list[Column]:
    """The inputs that ``df`` has; raises InputError naming those it should have, and those that cannot be read."""
    found = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    wrong = [fault for column in inputs if (fault := _fault(column, found, [name.lower() for name in df.columns]))]
    if wrong:
        raise InputError(f"the table does not fit the model's signature: {'; '.join(wrong)}: rename or cast its columns")
    return [column for column in inputs if column.name in found]


def _fault(column: Column, found: Mapping[str, str], lower: list[str]) -> str | None:
    if column.name not in found:
        return f"{column.name!r} is missing, expected {column.dtype}" if column.required else None
    if lower.count(column.name.lower()) > 1:
        return f"{column.name!r} stands twice (Spark does not tell case apart)"
    if found[column.name] not in _TAKES[column.dtype]:
        return f"{column.name!r} is {found[column.name]}, expected {column.dtype}"
    return None


def _check_names(names: list[str], df: DataFrame, keys: list[str]) -> None:
    if absent := [key for key in keys if key not in df.columns]:
        raise InputError(f"the table has no column {', '.join(absent)}, named as key: it has {', '.join(df.columns)}")
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if lower.count(name.lower()) > 1}):
        raise InputError(f"the scored table would have {', '.join(twice)} twice: rename the key column")
