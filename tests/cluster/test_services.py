"""The services of the cluster profile: real ones, started from packages under the real supervisor."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from core.errors import ConfigError, PortInUse, ServiceError
from core.settings import S3Settings, load_settings
from jobs.cluster import beside, local
from jobs.cluster.services_file import OFFSET
from jobs.group import free_port
from jobs.processes import lives, members

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


def test_a_second_start_changes_nothing(services):
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


def test_the_doctor_asks_each_service_and_starts_none(services):
    said = run_maas(services, "doctor", MAAS__MLFLOW__PORT="0", MAAS__SERVING__PORT="0").stdout
    for name in ("HDFS", "YARN", "MySQL", "MongoDB", "S3", "Kafka"):
        assert f"\n✓ {name}: 127.0.0.1:" in said, said


def test_the_doctor_names_the_service_that_is_down_and_what_to_do(services, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    done = run_maas(services, "doctor", MAAS__KAFKA__SERVERS=nobody)
    assert done.returncode == 1
    assert f"✗ Kafka: {nobody} (settings kafka.servers): nothing listens at {nobody}" in done.stdout
    assert "run `maas cluster up`" in done.stdout


@pytest.fixture
def second(monkeypatch):
    """The settings of a second cluster beside the first, nothing of it started."""
    home = Path(tempfile.mkdtemp(prefix="maas-second-"))
    home.chmod(0o711)
    base = load_settings(ROOT, "cluster", {})
    environment = beside.variables(base, beside.free_offset(base), str(home))
    monkeypatch.setenv(OFFSET, environment[OFFSET])
    settings = load_settings(ROOT, "cluster", environment)
    yield settings
    local.down(settings)
    shutil.rmtree(home)


def test_a_first_start_that_was_killed_is_done_again_and_the_end_leaves_no_process_and_no_port(second):
    # given folders of a set-up that was broken off
    for name in ("mariadb", "kafka"):
        (second.at_home(Path("services")) / f"{name}.partial" / "half").mkdir(parents=True)
    # when some services are started beside the first cluster
    started = local.up(second, ["mariadb", "kafka"])
    assert [(state.name, state.state) for state in started] == [("mariadb", "up"), ("kafka", "up")]
    ports = [state.port for state in started]
    ours = members(local.group(second).run)
    # then others cannot join them, and a data folder is kept over a restart
    with pytest.raises(ServiceError, match="mongodb cannot join services that run already: `maas cluster down` first"):
        local.up(second, ["mongodb"])
    assert [state.state for state in local.down(second)] == ["down", "down"]
    assert not any(lives(process.pid, process.create_time()) for process in ours if process.is_running())
    for port in ports:
        free_port("127.0.0.1", port, "this test", "end it")
    assert local.status(second) == []
    assert local.down(second) == []
    assert not list(second.at_home(Path("services")).glob("*.partial"))


def test_a_port_in_use_is_said_before_anything_starts(second):
    port = urlsplit(second.journal.url).port
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port} is in use .* and mongodb needs it: .* `maas cluster env --help`"),
    ):
        local.up(second, ["mongodb"])
    assert local.status(second) == []


def test_a_service_elsewhere_is_not_started_here(second):
    far = second.model_copy(update={"s3": S3Settings(endpoint="http://store.example:9000")})
    with pytest.raises(ConfigError, match=r"settings s3\.endpoint is 'http://store\.example:9000': a service started here"):
        local.up(far, ["s3"])


@pytest.mark.parametrize(
    ("only", "message"), [("hive", "unknown service 'hive': there are hdfs, yarn, mariadb, mongodb, s3, kafka, spark")]
)
def test_an_unknown_service_is_named(second, only, message):
    with pytest.raises(ConfigError, match=message):
        local.up(second, [only])


def test_a_profile_without_services_says_so():
    with pytest.raises(ConfigError, match="profile 'local' starts no services"):
        local.up(load_settings(ROOT, "local", {}))


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
