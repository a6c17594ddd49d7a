"""Look at a run's files before any process starts: footers for the columns, the label column for the classes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import TrainingError
from training.data.files import file_system
from training.spec import TrainingSpec

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """One split: its files, the rows of each row group in file order, and how many rows have a label, and the label 1.

    ``options`` are Hadoop's properties for reading files on HDFS.
    """

    files: tuple[str, ...]
    groups: tuple[int, ...]
    labelled: int
    positives: int
    options: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in the files."""
        return sum(self.groups)

    @property
    def unlabelled(self) -> int:
        """Rows that are left out for want of a label."""
        return self.rows - self.labelled

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(
            tuple(document["files"]), tuple(document["groups"]), document["labelled"], document["positives"], document["options"]
        )


def inspect(spec: TrainingSpec) -> dict[str, Split]:
    """The facts of every split.

    Raises TrainingError when a file or column is missing, a feature is not numeric, the label holds something other than 0, 1
    and null, or a split has not both classes.
    """
    return {name: _inspect(name, getattr(spec.files, name), spec.files.hdfs, spec.features, spec.label) for name in SPLITS}


def _inspect(name: str, files: Sequence[str], options: dict[str, str], features: Sequence[str], label: str) -> Split:
    system, paths = file_system(files, options)
    groups: list[int] = []
    labelled = positives = 0
    for path, place in zip(files, paths, strict=True):
        with _open(path, place, system) as file:
            _check_columns(path, file.schema_arrow, features, label)
            groups += [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
            some, ones = _count_labels(path, file, label)
        labelled, positives = labelled + some, positives + ones
    split = Split(tuple(files), tuple(groups), labelled, positives, options)
    _check_classes(name, split, label)
    return split


def _open(path: str, place: str, system: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(place, filesystem=system)
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such file; the table version may have been vacuumed: take a newer one") from None
    except (OSError, pa.ArrowException) as error:
        raise TrainingError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _check_columns(path: str, schema: pa.Schema, features: Sequence[str], label: str) -> None:
    for name in (*features, label):
        if name not in schema.names:
            near = difflib.get_close_matches(name, schema.names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "standardize the table anew"
            place = PurePosixPath(path)
            raise TrainingError(f"column {name!r} is not in {place.parent.name}/{place.name}: {hint}", column=name, file=path)
        kind = schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise TrainingError(
                f"column {name!r} is {kind}, not a number: give the features that the table's transforms made", column=name
            )


def _count_labels(path: str, file: pq.ParquetFile, label: str) -> tuple[int, int]:
    labelled = positives = 0
    for batch in file.iter_batches(columns=[label], batch_size=1 << 20):
        values = as_floats(batch.column(0))
        values = values[~np.isnan(values)]
        ones = int(np.count_nonzero(values == 1))
        if ones + np.count_nonzero(values == 0) != len(values):
            odd = values[(values != 0) & (values != 1)][0]
            raise TrainingError(f"label {label!r} holds {odd:g} in {path}: it must be 0, 1 or null", column=label, file=path)
        labelled, positives = labelled + len(values), positives + ones
    return labelled, positives


def as_floats(array: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """An Arrow column of numbers as float32, nulls as NaN."""
    if array.type != pa.float32():
        array = pc.cast(array, pa.float32(), safe=False)
    floats: npt.NDArray[np.float32] = array.to_numpy(zero_copy_only=False) if isinstance(array, pa.Array) else array.to_numpy()
    return floats


def _check_classes(name: str, split: Split, label: str) -> None:
    if not split.rows:
        raise TrainingError(f"split {name!r} has no rows: check the dates at which the pipeline splits", split=name)
    if not split.labelled:
        raise TrainingError(f"split {name!r} has {split.rows} rows but no label: {label!r} is null in all of them", split=name)
    if split.positives in (0, split.labelled):
        only = 1 if split.positives else 0
        raise TrainingError(
            f"label {label!r} is {only} in all {split.labelled} rows of split {name!r}: two classes are needed", split=name
        )
