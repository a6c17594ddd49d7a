"""The services of the cluster profile: real ones, started from packages under the real supervisor."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.cluster import local
from jobs.processes import members

ROOT = Path(__file__).parents[2]
NAMES = ["namenode", "datanode1", "datanode2", "resourcemanager", "nodemanager", "mariadb", "mongodb", "s3", "kafka"]
MEMORY_MB = 3000


@pytest.fixture
def processes(services):
    return members(local.group(services.settings).run)


def test_all_services_are_up_and_answer_in_their_own_protocol(services):
    states = local.status(services.settings)
    assert [(state.name, state.state, state.detail) for state in states] == [(name, "up", "") for name in NAMES]


def test_nothing_listens_beyond_this_machine(processes):
    listening = [c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= len(NAMES)
    assert set(listening) == {"127.0.0.1"}


def test_all_services_together_take_less_than_three_gigabytes(services):
    held = local.memory(services.settings)
    assert set(held) == {*NAMES, "supervisor"}
    assert all(held.values())
    assert sum(held.values()) <= MEMORY_MB, held


def test_secrets_stand_in_one_file_that_only_its_owner_reads(services, processes):
    settings = services.settings
    home = settings.at_home(Path())
    assert (home / "secrets.yaml").stat().st_mode & 0o777 == 0o600
    words = [
        secret.get_secret_value()
        for secret in (settings.database.password, settings.s3.access_key, settings.s3.secret_key)
        if secret
    ]
    assert len(words) == 3 and all(len(word) >= 32 for word in words)
    arguments = " ".join(" ".join(process.cmdline()) for process in processes)
    texts = [
        path.read_text(errors="replace")
        for folder in ("services/run", "hadoop", "logs")
        for path in (home / folder).rglob("*")
        if path.is_file()
    ]
    texts.append((home / "services" / "mariadb" / "init.sql").read_text())
    assert len(texts) > len(NAMES)
    assert not any(word in text for word in words for text in [arguments, *texts])


def test_no_server_runs_its_database_as_root(services):
    if os.geteuid() == 0:
        assert psutil.Process(services.state("mariadb").pid).username() == "mysql"


def test_a_second_start_changes_nothing(services, monkeypatch):
    before = {state.name: state.pid for state in local.status(services.settings)}
    again = run_maas(services, "cluster", "up")
    assert again.returncode == 0, again.stderr
    assert {state.name: state.pid for state in local.status(services.settings)} == before


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_is_killed_is_started_again_at_its_address(services, name):
    before = services.state(name)
    services.kill(name)
    after = services.wait_up(name)
    assert (after.url, after.restarts) == (before.url, before.restarts + 1)
    assert after.pid != before.pid
    for other in NAMES:
        services.wait_up(other)


def run_maas(services, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **services.environment, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
