"""A bundle as an MLflow model: its loader, the code that it needs, signature, example and requirements. No pickle."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.bundle import Bundle
from core.contracts import Column, Dtype, Signature
from core.registry import sources
from core.registry.store import without_warnings

DATA = "data/bundle"
"""Where the bundle lies in a model's artifacts."""

_LOADER = "core.registry.portable"
_ALWAYS = {"mlflow", "pandas"}
_EXAMPLE: Mapping[Dtype, Any] = {Dtype.STRING: "", Dtype.BOOLEAN: False, Dtype.INTEGER: 0, Dtype.LONG: 0}
_PANDAS: Mapping[Dtype, str] = {Dtype.INTEGER: "int32", Dtype.FLOAT: "float32", Dtype.LONG: "int64", Dtype.DOUBLE: "float64"}


def save_model(bundle: Bundle, folder: Path, into: Path, *, example: Mapping[str, Any] | None, **identity: Any) -> None:
    """Write the MLflow model of the bundle in ``folder`` to the new folder ``into``.

    ``example`` is one raw record, shown with the model; without one a record of zeros and empty strings stands there.
    ``identity`` is what MLflow's ``Model`` takes: artifact_path, model_id, run_id …
    """
    with without_warnings():
        import mlflow.pyfunc  # noqa: PLC0415 — MLflow takes seconds to import
        from mlflow.models import Model  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="maas-model-") as temporary:
        stage = Path(temporary)
        loader, foreign = sources.stage_code(_LOADER, stage / "code")
        shutil.copytree(folder, stage / Path(DATA).name, symlinks=True)
        with _quiet():
            mlflow.pyfunc.save_model(
                str(into),
                loader_module=loader,
                data_path=str(stage / Path(DATA).name),
                code_paths=[str(path) for path in sorted((stage / "code").iterdir())],
                mlflow_model=Model(**identity),
                signature=mlflow_signature(bundle.signature),
                input_example=_example(bundle.signature, example or {}),
                pip_requirements=sources.requirements(foreign | _ALWAYS),
            )


def mlflow_signature(signature: Signature) -> Any:
    """``signature`` as MLflow's ``ModelSignature``; a column that may be missing is not required there either."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    def schema(columns: tuple[Column, ...]) -> Any:
        return Schema([ColSpec(column.dtype.value, column.name, required=column.required) for column in columns])

    return ModelSignature(schema(signature.inputs), schema(signature.outputs))


def _example(signature: Signature, record: Mapping[str, Any]) -> Any:
    import pandas as pd  # noqa: PLC0415

    columns = {}
    for column in signature.inputs:
        value = record.get(column.name)
        value = _EXAMPLE.get(column.dtype, 0.0) if value is None else value
        columns[column.name] = pd.Series([value], dtype=_PANDAS.get(column.dtype, "object"))
    return pd.DataFrame(columns)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's hints on integer columns, examples and pip, which a user of ours can do nothing about."""
    loggers = [logging.getLogger(name) for name in ("mlflow.models", "mlflow.types", "mlflow.pyfunc", "mlflow.utils")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with without_warnings():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
