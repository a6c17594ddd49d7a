"""Airflow's own processes under the real supervisor: started once, looked at from all sides, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from core.errors import PortInUse, ServiceError
from core.settings import load_settings
from jobs.health import ask
from jobs.processes import members
from jobs.schedule import load_scheduling
from jobs.scheduling import services
from jobs.scheduling.home import password, password_file
from jobs.scheduling.rest import Rest

ROOT = Path(__file__).parents[2]
DAG = """
import time
from pathlib import Path

from airflow.sdk import dag, task

@dag(dag_id="small", schedule=None, is_paused_upon_creation=False)
def small():
    @task
    def first():
        while not Path(__file__).with_name("go").exists():
            time.sleep(0.1)
        print("said by the first task")
        return 41

    @task
    def second(number):
        assert number == 41

    second(first())

small()
"""


def variables(home):
    return {"MAAS__HOME": str(home), "MAAS__AIRFLOW__DAGS": str(home / "dags"), "MAAS__AIRFLOW__PORT": "0"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "small.py").write_text(DAG)
    made = load_settings(ROOT, "local", variables(home))
    services.up(made)
    yield made
    services.down(made)


@pytest.fixture(scope="module")
def rest(settings):
    return Rest.login(services.status(settings)[0].url, password(settings))


def run_folder(settings):
    return services.group(settings).run


def wait_for(claim, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not (found := claim()):
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.3)
    return found


def test_each_process_is_well_in_its_own_way_and_starting_again_changes_nothing(settings):
    states = services.status(settings)
    assert {state.name: (state.state, state.restarts) for state in states} == {
        "airflow-api-server": ("up", 0),
        "airflow-scheduler": ("up", 0),
        "airflow-dag-processor": ("up", 0),
    }
    assert [(state.state, state.pid) for state in services.up(settings)] == [("already up", state.pid) for state in states]
    assert set(services.memory(settings)) == {*(state.name for state in states), "supervisor"}
    assert all(held > 10 for held in services.memory(settings).values())


def test_a_heartbeat_from_before_a_process_was_made_does_not_make_it_well(settings):
    place = services.status(settings)[1].health.partition("&since=")[0]
    assert "component=scheduler" in place
    assert ask(f"{place}&since={time.time() - 60}", {}).well
    later = ask(f"{place}&since={time.time() + 60}", {})
    assert not later.answers
    assert later.trouble.startswith("TimeoutError: no heartbeat since 20")


def test_the_rest_interface_answers_to_a_token_only(settings, rest):
    assert {dag["dag_id"] for dag in rest.ask("GET", "/dags")["dags"]} <= {"small"}
    assert httpx.get(f"{rest.url}/api/v2/dags", timeout=30).status_code == 401
    with pytest.raises(ServiceError, match=r"GET /api/v2/dags with 403: .*Invalid JWT"):
        Rest(rest.url, "guessed").ask("GET", "/dags")
    with pytest.raises(ServiceError, match="POST /auth/token with 401"):
        Rest.login(rest.url, "guessed")


def test_the_pools_of_the_plan_are_there(settings, rest):
    pools = {pool["name"]: pool["slots"] for pool in rest.ask("GET", "/pools")["pools"]}
    assert {**load_scheduling(settings).pools} == {name: slots for name, slots in pools.items() if name != "default_pool"}
    assert (settings.at_home(Path("airflow")) / "dags.json").is_file()


def test_nothing_listens_but_the_api_server_on_this_machine(settings):
    (server, *_) = services.status(settings)
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in members(run_folder(settings))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    }
    assert listening == {("127.0.0.1", server.port)}


def test_a_killed_scheduler_is_back_and_runs_what_is_asked_for(settings, rest):
    # given a scheduler that is killed
    killed = services.status(settings)[1]
    os.kill(killed.pid, signal.SIGKILL)
    # when it was started again
    back = wait_for(lambda: (now := services.status(settings)[1]).state == "up" and now.pid != killed.pid and now)
    assert back.restarts == 1
    # then a run that the interface asks for succeeds, and its log is read without a log server
    wait_for(lambda: "small" in {dag["dag_id"] for dag in rest.ask("GET", "/dags")["dags"]})
    go(settings).touch()
    run = trigger(rest)
    assert wait_for(lambda: ended(rest, run)) == "success"
    log = rest.ask("GET", f"/dags/small/dagRuns/{run}/taskInstances/first/logs/1")
    assert "said by the first task" in json.dumps(log)


def test_a_task_outlives_its_api_server(settings, rest):
    # given a task that runs
    go(settings).unlink()
    run = trigger(rest)
    task = f"/dags/small/dagRuns/{run}/taskInstances/first"
    wait_for(lambda: rest.ask("GET", task)["state"] == "running")
    # when the API server is killed, and the task ends while it is away
    server = services.status(settings)[0]
    os.kill(server.pid, signal.SIGKILL)
    go(settings).touch()
    # then what it did is told to the next one
    wait_for(lambda: (now := services.status(settings)[0]).state == "up" and now.pid != server.pid)
    assert wait_for(lambda: ended(rest, run)) == "success"
    assert rest.ask("GET", task)["try_number"] == 1


def test_keys_and_password_stand_in_private_files_alone(settings):
    home = settings.at_home(Path())
    keys = yaml.safe_load((home / "secrets.yaml").read_text())["airflow"]
    secrets = [*keys.values(), password(settings)]
    assert len({*secrets}) == 4
    assert min(map(len, secrets)) >= 32
    # then the files that hold them are their owner's
    holders = {
        file for file in home.rglob("*") if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    }
    assert holders == {home / "secrets.yaml", password_file(settings)}
    assert {file.stat().st_mode & 0o777 for file in holders} == {0o600}
    assert (home / "airflow").stat().st_mode & 0o777 == 0o700
    # and no command line shows them
    lines = " ".join(word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or [])
    assert "airflow" in lines
    assert not any(secret in lines for secret in secrets)
    # nor do the settings when they are printed
    assert not any(secret in load_settings(ROOT, "local", variables(home)).model_dump_json() for secret in secrets)


def test_down_ends_every_process_and_keeps_the_files(settings):
    place = services.status(settings)[1].health
    assert {state.state for state in services.down(settings)} == {"down"}
    assert members(run_folder(settings)) == []
    assert services.status(settings) == []
    assert password_file(settings).is_file()
    # a scheduler is not started again because the API server, which tells of it, is away
    assert ask(place, {}).answers
    assert not ask(place.replace("component=scheduler", "component=metadatabase"), {}).answers


def test_a_port_in_use_and_a_missing_environment_are_said_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = load_settings(ROOT, "local", {"MAAS__HOME": str(tmp_path), "MAAS__AIRFLOW__PORT": str(port)})
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port} is in use .* set airflow\.port .*MAAS__AIRFLOW__PORT"):
            services.up(taken)
    assert not (tmp_path / "secrets.yaml").exists()
    # and in one line, where Airflow is not installed
    (tmp_path / "conf" / "base").mkdir(parents=True)
    (tmp_path / "conf" / "local").mkdir()
    command = [sys.executable, "-m", "jobs.cli", "airflow", "up"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MAAS_ROOT": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"maas: Airflow is not installed (there is no {tmp_path}/airflow_dags/.venv/bin/airflow): run `make setup-airflow`\n"
    )


def go(settings):
    """The file for which the first task waits."""
    return Path(settings.airflow.dags) / "go"


def trigger(rest):
    return rest.ask("POST", "/dags/small/dagRuns", {"logical_date": None})["dag_run_id"]


def ended(rest, run):
    state = rest.ask("GET", f"/dags/small/dagRuns/{run}")["state"]
    return state if state in ("success", "failed") else None
