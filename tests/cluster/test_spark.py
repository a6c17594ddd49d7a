"""Jobs on YARN and on Spark's own cluster: executors find our code, and the environment, by themselves."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pyspark
import pytest
import requests

from core.errors import ServiceError
from core.executors import require_master
from core.settings import Settings
from jobs.cluster import local
from jobs.session import submission

ROOT = Path(__file__).parents[2]
JOB = Path(__file__).with_name("spark_job.py")
SPARK = Path(pyspark.__file__).parent


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Spark's own master with one worker of 2 cores."""
    folder = tmp_path_factory.mktemp("standalone")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = ["--host", "127.0.0.1", "--webui-port", "0"]
    with ExitStack() as stack:
        start(stack, folder, "Master", *place, "--port", str(port))
        await_port(port)
        start(
            stack,
            folder,
            "Worker",
            *place,
            "--cores",
            "2",
            "--memory",
            "2g",
            "--work-dir",
            str(folder),
            f"spark://127.0.0.1:{port}",
        )
        yield f"spark://127.0.0.1:{port}"


def await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "the master does not start"
        time.sleep(0.2)


def start(stack: ExitStack, folder: Path, kind: str, *arguments: str) -> None:
    environment = {"SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "192m"}
    log = stack.enter_context((folder / f"{kind}.log").open("wb"))
    process = subprocess.Popen(
        [SPARK / "bin" / "spark-class", f"org.apache.spark.deploy.{kind.lower()}.{kind}", *arguments],
        env={**os.environ, **environment},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    stack.callback(end, process)


def end(process: subprocess.Popen[bytes]) -> None:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.kill()
    process.wait()


def run(settings: Settings, master: str, table: str, **options: str) -> dict[str, Any]:
    """What the job found; the driver gets no PYTHONPATH, so neither do the executors."""
    made = submission(settings, JOB, [str(ROOT), table], master)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("PYSPARK")},
        **made.environment,
        "MAAS__HOME": str(settings.home),
        "MAAS__SPARK__EXECUTOR_MEMORY": "512m",
        **options,
    }
    done = subprocess.run(made.command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["master"] == master
    assert found["rows"] == 1000
    return found


def table_of(settings: Settings, name: str) -> str:
    return f"{settings.lake.root.rsplit('/', 1)[0]}/spark/{name}"


def test_executors_on_yarn_run_the_code_that_was_sent(cluster: Settings) -> None:
    found = run(cluster, "yarn", table_of(cluster, "yarn"))

    assert found["application"].startswith("application_")
    for worker in found["workers"]:
        assert "/container_" in worker["folder"]
        assert worker["code"].startswith(f"{worker['folder']}/maas-")
        assert str(ROOT) not in worker["python_path"].split(":")
        assert worker["torch"]


def test_executors_of_a_standalone_cluster_run_the_environment_that_was_sent(cluster: Settings, standalone: str) -> None:
    found = run(cluster, standalone, table_of(cluster, "standalone"), MAAS__SPARK__ENVIRONMENT="packed")

    for worker in found["workers"]:
        assert worker["code"].startswith(f"{worker['folder']}/maas-")
        assert worker["numpy"].startswith(f"{worker['folder']}/environment/lib/")
        assert not worker["torch"]


def test_a_cluster_that_gives_no_executor_is_told_in_one_line(cluster: Settings, standalone: str) -> None:
    options = {"MAAS__SPARK__START_TIMEOUT_S": "3", "MAAS__SPARK__EXECUTOR_MEMORY": "3g"}
    made = submission(cluster, JOB, [str(ROOT), table_of(cluster, "none")], standalone)
    done = subprocess.run(
        made.command,
        env={**os.environ, **made.environment, "MAAS__HOME": str(cluster.home), **options},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert b"gave no executor of 1 cores and 3g + 512m in 3 s" in done.stdout


@pytest.fixture
def full_queue(cluster: Settings) -> Iterator[str]:
    """The address of YARN's applications while one of them, which only sleeps, has the whole queue."""
    web = next(state.url for state in local.status(cluster) if state.name == "resourcemanager")
    applications, who = f"{web}/ws/v1/cluster/apps", {"user.name": cluster.hdfs.user}
    made = requests.post(f"{applications}/new-application", params=who, timeout=30).json()
    sleeper = {
        "application-id": made["application-id"],
        "application-name": "sleeper",
        "am-container-spec": {"commands": {"command": "sleep 300"}},
        "resource": {"memory": made["maximum-resource-capability"]["memory"], "vCores": 1},
        "max-app-attempts": 1,
    }
    requests.post(applications, params=who, json=sleeper, timeout=30).raise_for_status()
    address = f"{applications}/{made['application-id']}"
    deadline = time.monotonic() + 60
    while requests.get(address, timeout=30).json()["app"]["allocatedMB"] <= 0:
        assert time.monotonic() < deadline, "the sleeper does not start"
        time.sleep(0.2)
    yield applications
    requests.put(f"{address}/state", params=who, json={"state": "KILLED"}, timeout=30).raise_for_status()


def test_a_full_queue_is_told_in_one_line_and_the_application_is_withdrawn(cluster: Settings, full_queue: str) -> None:
    made = submission(cluster, JOB, [str(ROOT), table_of(cluster, "queued")], "yarn")
    options = {"MAAS__HOME": str(cluster.home), "MAAS__SPARK__START_TIMEOUT_S": "15"}
    done = subprocess.run(
        made.command, env={**os.environ, **made.environment, **options}, capture_output=True, text=True, check=False
    )
    latest = max(requests.get(full_queue, timeout=30).json()["apps"]["app"], key=lambda app: app["startedTime"])

    assert done.returncode == 1
    assert "yarn gave no executor of 1 cores and 1g + 512m in 15 s" in done.stdout
    assert (latest["name"], latest["state"]) == ("test", "KILLED")


def test_a_master_that_is_down_is_named_within_seconds() -> None:
    started = time.monotonic()

    with pytest.raises(ServiceError, match=r"Spark's master does not answer at 127\.0\.0\.1:1: start it"):
        require_master("spark://127.0.0.1:1", None)

    assert time.monotonic() - started < 30
