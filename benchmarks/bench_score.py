"""Batch scoring on Spark local[1]: ours, ``mlflow.pyfunc.spark_udf`` of the same model, and an identity ``mapInArrow``."""

from __future__ import annotations

import io
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame
from pyspark.sql.functions import struct

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.spark import build_session
from serving.batch import score

ROWS = 1_000_000
COLUMNS = [f"x{i:02d}" for i in range(32)]
RUNS = 5
WARM_UP = 2
"""Turns that are not counted: the JVM compiles as it goes."""
UDF_TARGET, IDENTITY_TARGET = 2.0, 0.85
TOLERANCE = 1e-5


def build_model() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1)]
    return torch.nn.Sequential(*layers).eval()


def build_bundle(model: torch.nn.Module, folder: Path) -> Path:
    graph = io.BytesIO()
    flat = torch.nn.Sequential(model, torch.nn.Flatten(0)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(
            flat,
            (torch.zeros(2, 32),),
            graph,
            input_names=["features"],
            output_names=["answer"],
            dynamic_axes={"features": {0: "batch"}, "answer": {0: "batch"}},
            dynamo=False,
        )
    signature = Signature(tuple(Column(c, Dtype.FLOAT) for c in COLUMNS), (Column("answer", Dtype.DOUBLE),))
    plan = (TransformPlan(kind="identity", columns=COLUMNS),)
    features: FittedFeatures = Moments(plan, signature.inputs).finish()
    write_bundle(folder, name="bench", onnx=graph.getvalue(), features=features, signature=signature, facts={})
    return folder


def log_peers(model: torch.nn.Module, folder: Path) -> tuple[str, str]:
    """The model in MLflow's stock PyTorch flavour; returns two URIs.

    The first has a signature of 32 named float columns, as ours has: it needs the pickle format. The second has the default
    format (pt2), which takes a tensor signature only: no column is checked.
    """
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("bench")
    tensor = np.zeros((2, 32), np.float32)
    named = pd.DataFrame(tensor, columns=COLUMNS)
    signature = mlflow.models.infer_signature(named, tensor[:, :1])
    columns = mlflow.pytorch.log_model(
        model, name="columns", signature=signature, input_example=named, serialization_format="pickle"
    )
    return str(columns.model_uri), str(mlflow.pytorch.log_model(model, name="tensor", input_example=tensor).model_uri)


def identity(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def cpu_s() -> float:
    """CPU time of this process and all below it: the JVM and its Python workers."""
    total = 0.0
    here = psutil.Process()
    for process in [here, *here.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), cpu_s()
    run()
    return time.perf_counter() - wall, cpu_s() - cpu


def drain(df: DataFrame) -> None:
    df.write.format("noop").mode("overwrite").save()


def check_answers(frames: dict[str, DataFrame]) -> float:
    """The largest difference between our answers and MLflow's, over all rows."""
    ours = np.array([row[0] for row in frames["ours"].select("answer").collect()])
    peers = [np.array([row[0] for row in frames[name].collect()]) for name in ("spark_udf", "udf tensor")]
    difference = max(float(np.abs(ours - peer).max()) for peer in peers)
    assert len(ours) == ROWS
    assert difference <= TOLERANCE, f"answers differ by {difference}"
    return difference


def main() -> None:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with tempfile.TemporaryDirectory(prefix="bench-score-") as scratch:
        folder = Path(scratch)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        rows = np.random.default_rng(0).standard_normal((ROWS, 32), np.float32)
        pq.write_table(pa.table({c: rows[:, i] for i, c in enumerate(COLUMNS)}), folder / "rows.parquet", use_dictionary=False)
        model = build_model()
        bundle = build_bundle(model, folder / "bundle")
        uris = log_peers(model, folder)
        spark = build_session("bench-score", master="local[1]", jars=Path("jars/spark"))
        df = spark.read.parquet(str(folder / "rows.parquet"))
        udfs = [mlflow.pyfunc.spark_udf(spark, uri, result_type="double", env_manager="local") for uri in uris]
        frames = {
            "ours": score(spark, df, bundle, keys=[], model="bench", version=1),
            "spark_udf": df.select(udfs[0](struct(*COLUMNS)).alias("answer")),
            "udf tensor": df.select(udfs[1](struct(*COLUMNS)).alias("answer")),
            "identity": df.mapInArrow(identity, df.schema),
        }
        difference = check_answers(frames)
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in frames}
        for turn in range(WARM_UP + RUNS):
            for name, frame in frames.items():
                sample = timed(lambda frame=frame: drain(frame))
                if turn >= WARM_UP:
                    samples[name].append(sample)
        spark.stop()
    report(samples, difference)


def report(samples: dict[str, list[tuple[float, float]]], difference: float) -> None:
    wall = {name: statistics.median(s[0] for s in taken) for name, taken in samples.items()}
    cpu = {name: statistics.median(s[1] for s in taken) for name, taken in samples.items()}
    targets = {"spark_udf": f"≥ {UDF_TARGET}", "identity": f"≥ {IDENTITY_TARGET}"}
    print(f"{ROWS:,} rows of 32 floats, local[1], median of {RUNS}; largest difference of answers {difference:.1e}")
    print(f"{'':12} {'rows/s':>10} {'rows/CPU-s':>11} {'ours ÷ it':>10} {'by CPU':>8}  target")
    for name in samples:
        ratio, by_cpu = wall[name] / wall["ours"], cpu[name] / cpu["ours"]
        print(
            f"{name:12} {ROWS / wall[name]:10,.0f} {ROWS / cpu[name]:11,.0f} {ratio:10.2f} {by_cpu:8.2f}  {targets.get(name, '')}"
        )
    print("spark_udf checks 32 named columns, as ours does; 'udf tensor' is the same model with a tensor signature: no checks")
    figures = {
        "ratio_spark_udf": wall["spark_udf"] / wall["ours"],
        "ratio_identity": wall["identity"] / wall["ours"],
        "ratio_udf_tensor": wall["udf tensor"] / wall["ours"],
        "cpu_ratio_spark_udf": cpu["spark_udf"] / cpu["ours"],
        "cpu_ratio_identity": cpu["identity"] / cpu["ours"],
    }
    rates = {"ours_rows_s": ROWS / wall["ours"], "ours_rows_cpu_s": ROWS / cpu["ours"]}
    line = [*(f"{key}={value:.2f}" for key, value in figures.items()), *(f"{key}={value:.0f}" for key, value in rates.items())]
    print("bench-score", *line)


if __name__ == "__main__":
    main()
