"""Arrow record batches as the column arrays that transforms read. Only code that runs beside Spark imports this."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contracts import Column, Dtype
from core.features.column import Array


def arrays(batch: pa.RecordBatch, columns: Iterable[Column]) -> dict[str, Array]:
    """The named columns of the batch; float64 ones without nulls are views of Arrow's memory, not copies."""
    return {column.name: array(batch.column(column.name), column.dtype) for column in columns}


def array(values: pa.Array, dtype: Dtype) -> Array:
    """Text as an object array of ``str | None``; everything else as float64 with NaN for null."""
    if dtype is Dtype.STRING:
        return np.asarray(values.to_numpy(zero_copy_only=False), object)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def counts(values: pa.Array) -> dict[str, int]:
    """How often each text stands in ``values``; nulls are left out."""
    found = pc.value_counts(values.drop_null())
    return dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))
