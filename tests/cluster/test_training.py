"""Horovod in Spark's executors on YARN, its data and checkpoints on HDFS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(cluster: Settings, cluster_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened to a run in executors, of which one is killed, and to the same run on this host."""
    url = f"{cluster.lake.root.rpartition('/')[0]}/horovod"
    command = [sys.executable, str(Path(__file__).with_name("training_job.py")), str(tmp_path_factory.mktemp("run")), url]
    environment = {**os.environ, **cluster_environment, "PYTHONPATH": str(ROOT), "MAAS_ROOT": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def test_a_killed_executor_ends_the_run_within_a_minute_and_its_rank_is_named(found: dict[str, Any]) -> None:
    assert found["error"].startswith("rank 1 of 2 was lost with its executor; start the step again")
    assert found["seconds"] < 60


def test_the_run_goes_on_from_its_checkpoint_on_hdfs(found: dict[str, Any]) -> None:
    assert found["resumed"][0] > 3
    assert found["resumed"][-1] == 12
    assert [found["events"][0], found["events"][-1]] == ["started", "evaluating"]
    assert found["left"] == []


def test_weights_metrics_and_model_are_those_of_the_host_launcher_to_the_bit(found: dict[str, Any]) -> None:
    assert found["spark"] == found["host"]
