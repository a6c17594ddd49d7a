"""Services in the foreground, as a container runs them: real processes of the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(home: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "jobs.cli", *arguments]
    given = {**os.environ, "MAAS__HOME": str(home), **environment}
    process = subprocess.Popen(command, env=given, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def await_that(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_well(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def test_the_copier_says_when_a_server_may_start_and_goes_on_when_it_cannot_copy(tmp_path):
    folder = tmp_path / "bundles"
    with started(tmp_path, "bundles", "--every", "1") as process:
        await_that((folder / ".ready").exists, process)
        assert json.loads((folder / "index.json").read_text()) == {"models": {}}

        folder.rename(tmp_path / "kept")
        folder.write_text("not a folder")

        assert process.stderr is not None
        assert "the bundles stay as they are" in process.stderr.readline()
        assert process.poll() is None


def test_a_copier_that_has_copied_nothing_yet_ends_with_one_line(tmp_path):
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"no database" * 1000)
    with started(tmp_path, "bundles", "--every", "1") as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.startswith("maas: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "bundles" / ".ready").exists()


def test_mlflow_runs_in_the_foreground(tmp_path):
    port = free_port()
    with started(tmp_path, "mlflow", MAAS__MLFLOW__PORT=str(port)) as process:
        await_that(lambda: is_well(port), process)


def test_both_run_on_the_stores_of_the_cluster(cluster_environment, cluster, tmp_path):
    more = {"MAAS__SERVING__BUNDLES": str(tmp_path / "bundles"), "MAAS__MLFLOW__PORT": str(free_port())}
    home, given = cluster.at_home(Path()), {**cluster_environment, **more}
    given.pop("MAAS__HOME")
    with started(home, "bundles", "--every", "1", **given) as process:
        await_that((tmp_path / "bundles" / ".ready").exists, process)
        with started(home, "mlflow", **given) as server:
            await_that(lambda: is_well(int(more["MAAS__MLFLOW__PORT"])), server)
