"""The real MLflow server and the real model server, under the real supervisor."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from core.errors import CorruptFile, PortInUse, ServiceError
from core.registry.store import Store
from core.settings import Settings
from jobs import services
from jobs.health import ask
from jobs.processes import Service, lives, members, start_time

NAMES = ("mlflow", "model-server")


def supervisor_log(folder: Path) -> str:
    return "".join(file.read_text() for file in sorted((folder / "var" / "logs").glob("supervisor-*.jsonl")))


@pytest.fixture
def settings(tmp_path):
    made = Settings.model_validate({"root": tmp_path, "mlflow": {"port": 0}, "serving": {"port": 0, "drain_s": 2}})
    yield made
    services.down(made)


def get(url):
    return httpx.get(url, timeout=10).raise_for_status().content


def wait_for(claim, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.1)


def test_services_come_up_are_restarted_when_killed_and_leave_nothing_behind(settings, tmp_path):
    run = tmp_path / "var" / "run"
    # when they are started
    started = services.up(settings, timeout_s=120)
    # then both answer, on this machine only, and are recorded
    assert [(state.name, state.state, state.detail) for state in started] == [("mlflow", "up", ""), ("model-server", "up", "")]
    mlflow, server = started
    assert b"<title>MLflow" in get(mlflow.url)
    assert get(f"{server.url}/ping") is not None
    assert all(connection.laddr.ip == "127.0.0.1" for p in members(run, NAMES) for connection in p.net_connections("tcp"))
    assert [state.state for state in services.status(settings)] == ["up", "up"]
    assert (run / "services.json").stat().st_mode & 0o777 == 0o600
    # when they are started again, nothing changes
    again = services.up(settings)
    assert [(state.state, state.pid) for state in again] == [("already up", mlflow.pid), ("already up", server.pid)]
    # when the model server is killed, another takes its place at the same address
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: services.status(settings)[1].pid not in (0, server.pid) and services.status(settings)[1].state == "up")
    assert services.status(settings)[1].restarts == 1
    assert services.status(settings)[1].url == server.url
    # when MLflow's starter alone is killed, its server goes with it before the next one starts
    os.kill(mlflow.pid, signal.SIGKILL)
    wait_for(lambda: services.status(settings)[0].restarts == 1 and services.status(settings)[0].state == "up", 120)
    # when all is ended, no process is left and a second end finds nothing to do
    ours = members(run, NAMES)
    assert [state.state for state in services.down(settings)] == ["down", "down"]
    assert not any(lives(process.pid, process.create_time()) for process in ours if process.is_running())
    assert members(run, NAMES) == []
    assert services.down(settings) == []
    assert services.status(settings) == []
    said = supervisor_log(tmp_path)
    assert "model-server ended with SIGKILL, starts again in 0.5 s" in said
    assert {"mlflow.log", "model-server.log"} <= {path.name for path in (tmp_path / "var" / "logs").iterdir()}


def test_a_port_in_use_is_said_before_anything_starts(settings, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = settings.model_copy(update={"serving": settings.serving.model_copy(update={"port": port})})
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port} is in use .* set serving\.port .*MAAS__SERVING__PORT"):
            services.up(taken)
    assert not Path(Store.of(settings).database).exists()
    assert services.status(settings) == []


def test_a_supervisor_that_was_killed_leaves_services_that_status_shows_and_down_ends(tmp_path, settings):
    # given the model server alone, under a supervisor
    run = tmp_path / "var" / "run"
    start_one(settings, run, [*services.server_command(settings, 0)])
    # when the supervisor is killed
    record = json.loads((run / "services.json").read_text())
    os.kill(record["supervisor"], signal.SIGKILL)
    wait_for(lambda: not lives(record["supervisor"], record["started"]))
    # then its service is seen, and ended
    (state,) = services.status(settings)
    assert (state.state, state.detail) == ("unsupervised", "its supervisor died: run `maas up`")
    assert [state.state for state in services.down(settings)] == ["down"]
    assert members(run, NAMES) == []


def test_a_service_that_ends_again_and_again_is_started_ever_later_and_said_with_its_last_words(tmp_path, settings):
    run = tmp_path / "var" / "run"
    start_one(settings, run, ["/bin/sh", "-c", "echo no model today >&2; exit 3"])
    with pytest.raises(ServiceError, match=r"ends again and again; the last it wrote is 'no model today', the rest is in"):
        services.group(settings).wait(30)
    services.down(settings)
    said = supervisor_log(tmp_path)
    assert "model-server ended with exit status 3, starts again in 0.5 s" in said
    assert "starts again in 2.0 s" in said


def test_a_process_that_took_over_a_recorded_number_is_not_ended(tmp_path, settings):
    # given a record whose supervisor has the number of this very process, made at another time
    run = tmp_path / "var" / "run"
    run.mkdir(parents=True)
    record = {"supervisor": os.getpid(), "started": start_time(os.getpid()) - 1000, "services": []}
    (run / "services.json").write_text(json.dumps(record))
    # when all is ended, this test lives on
    assert services.down(settings) == []
    assert not (run / "services.json").exists()


def test_a_damaged_record_is_named(tmp_path, settings):
    run = tmp_path / "var" / "run"
    run.mkdir(parents=True)
    (run / "services.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"services\.json: not a record of services"):
        services.status(settings)
    (run / "services.json").unlink()


def test_a_health_check_takes_only_200_for_well():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    health = ask(f"http://127.0.0.1:{port}/ping", {})
    assert (health.answers, health.trouble) == (False, f"nothing listens at 127.0.0.1:{port}")


def start_one(settings, run, command):
    """The supervisor with one service, as ``up`` starts it."""
    run.mkdir(parents=True)
    service = Service(
        name="model-server",
        command=tuple(command),
        host="127.0.0.1",
        port=1,
        health="http://127.0.0.1:1/ping",
        log=str(settings.at_home(settings.logs.folder) / "model-server.log"),
        grace_s=3,
    )
    services.group(settings).start([service])
    wait_for(lambda: json.loads((run / "services.json").read_text())["services"][0]["pid"] or command[0] == "/bin/sh")
