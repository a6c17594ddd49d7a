"""Batch scoring on Spark local[1]: ours, ``mlflow.pyfunc.spark_udf`` of the same model, and an identity ``mapInArrow``."""

from __future__ import annotations

import io
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
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import struct

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.spark import build_session
from serving.batch import score

ROWS = 500_000
COLUMNS = [f"x{i:02d}" for i in range(32)]
RUNS = 5
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


def log_peer(model: torch.nn.Module, folder: Path) -> str:
    """The model in MLflow's stock PyTorch flavour; returns its URI."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("bench")
    return str(mlflow.pytorch.log_model(model, name="bench", input_example=np.zeros((2, 32), np.float32)).model_uri)


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


def check_answers(spark: SparkSession, frames: dict[str, DataFrame]) -> float:
    """The largest difference between our answers and MLflow's, over all rows."""
    ours = np.array([row[0] for row in frames["ours"].select("answer").collect()])
    peer = np.array([row[0] for row in frames["spark_udf"].collect()])
    difference = float(np.abs(ours - peer).max())
    assert len(ours) == ROWS and difference <= TOLERANCE, f"answers differ by {difference}"
    return difference


def main() -> None:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with tempfile.TemporaryDirectory(prefix="bench-score-") as scratch:
        folder = Path(scratch)
        rows = np.random.default_rng(0).standard_normal((ROWS, 32), np.float32)
        pq.write_table(pa.table({c: rows[:, i] for i, c in enumerate(COLUMNS)}), folder / "rows.parquet")
        model = build_model()
        bundle, uri = build_bundle(model, folder / "bundle"), log_peer(model, folder)
        spark = build_session("bench-score", master="local[1]", jars=Path("jars/spark"), options={"spark.local.dir": scratch})
        df = spark.read.parquet(str(folder / "rows.parquet"))
        udf = mlflow.pyfunc.spark_udf(spark, uri, result_type="double", env_manager="local")
        frames = {
            "ours": score(spark, df, bundle, keys=[], model="bench", version=1),
            "spark_udf": df.select(udf(struct(*COLUMNS)).alias("answer")),
            "identity": df.mapInArrow(identity, df.schema),
        }
        difference = check_answers(spark, frames)
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in frames}
        for turn in range(RUNS + 1):
            for name, frame in frames.items():
                sample = timed(lambda frame=frame: drain(frame))
                if turn:  # the first turn warms the JVM up
                    samples[name].append(sample)
        spark.stop()
    report(samples, difference)


def report(samples: dict[str, list[tuple[float, float]]], difference: float) -> None:
    wall = {name: statistics.median(s[0] for s in taken) for name, taken in samples.items()}
    cpu = {name: statistics.median(s[1] for s in taken) for name, taken in samples.items()}
    targets = {"ours": "", "spark_udf": f"≥ {UDF_TARGET}", "identity": f"≥ {IDENTITY_TARGET}"}
    print(f"{ROWS:,} rows of 32 floats, local[1], median of {RUNS}; largest difference of answers {difference:.1e}")
    print(f"{'':12} {'rows/s':>10} {'rows/CPU-s':>11} {'ours ÷ it':>10} {'by CPU':>8}  target")
    for name in samples:
        ratio, by_cpu = wall[name] / wall["ours"], cpu[name] / cpu["ours"]
        print(f"{name:12} {ROWS / wall[name]:10,.0f} {ROWS / cpu[name]:11,.0f} {ratio:10.2f} {by_cpu:8.2f}  {targets[name]}")
    print(
        f"bench-score ratio_spark_udf={wall['spark_udf'] / wall['ours']:.2f} ratio_identity={wall['identity'] / wall['ours']:.2f} "
        f"ours_rows_s={ROWS / wall['ours']:.0f} spark_udf_rows_s={ROWS / wall['spark_udf']:.0f} "
        f"identity_rows_s={ROWS / wall['identity']:.0f} ours_rows_cpu_s={ROWS / cpu['ours']:.0f} "
        f"cpu_ratio_spark_udf={cpu['spark_udf'] / cpu['ours']:.2f} cpu_ratio_identity={cpu['identity'] / cpu['ours']:.2f}"
    )


if __name__ == "__main__":
    main()
