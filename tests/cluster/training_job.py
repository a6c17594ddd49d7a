"""``training_job.py FOLDER URL``: the same run on this host, and in executors where one is killed and the run goes on.

What happened is printed, as the last line, as JSON.
"""

import hashlib
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pyspark.sql import SparkSession

from core.errors import RankFailed
from core.lake.catalog import Lake
from core.settings import load_settings
from core.storage.open import open_storage
from jobs.session import open_session
from training.launchers import HostLauncher, SparkLauncher
from training.run import Event, TrainedModel, train
from training.spec import SplitFiles, TaskConfig, TrainingSpec

TASK = {"epochs": 12, "patience": 12, "batch_size": 64, "model": {"hidden": [16], "dropout": 0.1}}
FEATURES = ("a", "b", "c", "d")


def write_split(spark: SparkSession, place: str, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, 4)).astype(np.float32)
    labels = rng.random(rows) < 1 / (1 + np.exp(-3 * values[:, 0] * values[:, 1] - values[:, 2]))
    data = [(*map(float, row), float(label)) for row, label in zip(values, labels, strict=True)]
    frame = spark.createDataFrame(data, "a float, b float, c float, d float, late double").coalesce(1)
    frame.write.parquet(place)


def seen(model: TrainedModel) -> dict[str, Any]:
    digest = {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in (("onnx", model.onnx), ("weights", model.weights))
    }
    curve = [(e["epoch"], e["train_loss"], e["val_loss"], e["val_auc"]) for e in model.epochs]
    return {**digest, "curve": curve, "evaluation": model.evaluation.to_json()}


def kill_executor(event: Event, killed: dict[str, float]) -> None:
    """SIGKILL the JVM that the last rank is below, when the third epoch is over."""
    if event["event"] == "started":
        killed["rank"] = event["pids"][-1]
    if event.get("epoch") == 3:
        jvm = next(process for process in psutil.Process(int(killed["rank"])).parents() if process.name() == "java")
        jvm.kill()
        killed["at"] = time.monotonic()


def main(folder: Path, url: str) -> None:
    settings = load_settings()
    spark = open_session(settings, "test")
    data = open_storage(url, settings)
    files = {}
    for seed, (name, rows) in enumerate((("train", 600), ("validation", 200), ("test", 150))):
        write_split(spark, f"{url}/{name}", rows, seed)
        files[name] = tuple(f"{url}/{entry.path}" for entry in data.list(f"{name}/*.parquet"))
    splits = SplitFiles(**files, hdfs=dict(Lake.of(settings).options))
    spec = TrainingSpec(files=splits, features=FEATURES, label="late", task=TaskConfig.model_validate(TASK))
    launcher = SparkLauncher(spark.sparkContext, partial(open_storage, f"{url}/run", settings))
    killed: dict[str, float] = {}
    found: dict[str, Any] = {"error": None}
    try:
        train(spec, folder=folder / "spark", launcher=launcher, on_event=lambda event: kill_executor(event, killed))
    except RankFailed as error:
        found |= {"error": error.message, "seconds": time.monotonic() - killed["at"]}
    events: list[Event] = []
    found["spark"] = seen(train(spec, folder=folder / "spark", launcher=launcher, on_event=events.append))
    found["events"] = [event["event"] for event in events]
    found["resumed"] = [event["epoch"] for event in events if event["event"] == "epoch"]
    found["left"] = [entry.path for entry in open_storage(f"{url}/run", settings).list("checkpoints/*")]
    found["host"] = seen(train(spec, folder=folder / "host", launcher=HostLauncher()))
    spark.stop()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
