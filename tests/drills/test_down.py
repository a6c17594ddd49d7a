"""A service that stays down: a step that needs it says so in one line, and completes when it is back; all else goes on."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from jobs.cluster import local
from jobs.processes import Record
from jobs.supervisor import RECORD

pytestmark = [pytest.mark.drills, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
STEPS = ("ingest", "extract", "standardize", "train", "publish", "score")
WAITS = {
    "datanode1": (),
    "namenode": STEPS,
    "resourcemanager": ("ingest", "extract", "standardize", "train", "score"),
    "mariadb": STEPS,
    "mongodb": STEPS,
    "s3": ("train", "publish", "score"),
    "kafka": ("ingest",),
}
"""The steps that wait for a service; docs/cluster.md has them as a table. Score waits for S3 when the version is not cached."""

SAYS = {
    "namenode": ("HDFS", "settings lake.root"),
    "resourcemanager": ("YARN", "settings hdfs.conf"),
    "mariadb": ("MySQL", "settings database.url"),
    "mongodb": ("MongoDB", "settings journal.url"),
    "s3": ("S3", "settings s3.endpoint"),
    "kafka": ("Kafka", "settings kafka.servers"),
}
"""How a line names a service and its setting."""


CASES = [pytest.param(name, step, id=f"{name}-{step}") for name in WAITS for step in STEPS]


@pytest.mark.parametrize(("name", "step"), CASES)
def test_a_step_waits_only_for_what_it_needs_and_says_what_is_down(services, prepared, drill, request, name, step):
    platform = drill(step, yarn=name == "resourcemanager")
    before = platform.versions()
    # when the step runs while the service is down
    with held_down(services, name):
        first = platform.maas("run", "flights", "--step", step)
    # then it ends right, or names service, address and setting in one line
    if step in WAITS[name]:
        assert first.code == 1, first.stdout
        assert_names(services, name, first.stderr)
        assert platform.versions().keys() == before.keys()
    else:
        assert first.code == 0, first.stderr
    # and completes when the service is back
    again = platform.maas("run", "flights", "--step", step)
    assert again.code == 0, again.stderr
    prepared.assert_same(platform, step, before, first.begun)
    said = {"outcome": "waits" if first.code else "goes on", "said": first.stderr}
    prepared.keep(request.node.name, step=step, down=name, seconds=first.seconds, **said)


def assert_names(services, name, said):
    """One line, with what the service is, where, and which setting says so."""
    (line,) = said.splitlines()
    what, setting = SAYS[name]
    assert line.startswith("maas: ")
    assert what in line
    assert setting in line
    assert f"127.0.0.1:{services.state(name).port}" in line


@contextmanager
def held_down(services, *names):
    """Services killed and not started again before the block ends."""
    record = Record.read(local.group(services.settings).run / RECORD)
    supervisor = psutil.Process(record.supervisor)
    supervisor.suspend()
    try:
        for name in names:
            services.kill(name)
        yield
    finally:
        supervisor.resume()
        for name in names:
            services.wait_up(name)


@pytest.fixture(scope="module")
def server(prepared, tmp_path_factory):
    """A model server with the version that the reference published."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **prepared.reference.variables}
    command = [sys.executable, "-m", "jobs.cli", "serve", "--port", str(port)]
    with (tmp_path_factory.mktemp("server") / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while not answers(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def answers(port):
    """Whether the server scores a record."""
    record = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "hour": 9, "minute_of_day": 540, "weekday": 2, "distance": 719}
    body = json.dumps({"dataframe_records": [record]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/models/flights/invocations", body, {"content-type": "application/json"}
    )
    with suppress(OSError), urllib.request.urlopen(request, timeout=30) as response:
        (answer,) = json.load(response)["predictions"]
        return 0 <= answer <= 1
    return False


def test_a_model_server_answers_with_all_services_down(services, server):
    with held_down(services, *WAITS):
        assert answers(server)
