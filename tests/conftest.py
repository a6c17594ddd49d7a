"""What every test may use: one Spark session and one cluster for the whole run."""

import json
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from pyspark.sql import SparkSession

from core.settings import Settings, load_settings
from core.spark import build_session
from jobs.cluster import beside, local
from jobs.cluster.services_file import OFFSET
from jobs.processes import ServiceState, members, send
from tests.postgres import Postgres, postgres_server

ROOT = Path(__file__).parents[1]
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # for JVMs that live for seconds
KEPT_HOME = "MAAS_KEPT_HOME"
"""The variable that names the home folder of the cluster that a run starts, kept for the next run; else it is a new one."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that cannot be read, such as an archive with the time of its making, are no name: both processes need the same."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()):
        return f"{argname}-{len(val)}-bytes"
    return None


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = build_session(
        "tests",
        jars=ROOT / "jars" / "spark",
        driver_memory="2g",
        options={"spark.local.dir": str(tmp_path_factory.mktemp("spark"))},
    )
    yield session
    session.stop()


class Services:
    """A cluster that this run started, whose services a test may kill."""

    def __init__(self, home: Path) -> None:
        base, kept = load_settings(ROOT, "cluster", {}), home / "environment.json"
        if not kept.is_file():
            kept.write_text(json.dumps(beside.variables(base, beside.free_offset(base), str(home))))
        self.environment: dict[str, str] = json.loads(kept.read_text())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(OFFSET, self.environment[OFFSET])
            local.up(self.settings)

    @property
    def settings(self) -> Settings:
        return load_settings(ROOT, "cluster", self.environment)

    def state(self, name: str) -> ServiceState:
        return next(state for state in local.status(self.settings) if state.name == name)

    def kill(self, name: str) -> None:
        """SIGKILL all processes of a service at once; its supervisor starts it again."""
        send(members(local.group(self.settings).run, [name]), signal.SIGKILL)

    def wait_up(self, name: str, timeout_s: float = 90) -> ServiceState:
        """The state of a service once it is well."""
        deadline = time.monotonic() + timeout_s
        while (state := self.state(name)).state != "up":
            assert time.monotonic() < deadline, state
            time.sleep(0.2)
        return state

    def down(self) -> None:
        local.down(self.settings)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """A cluster of this run's own, at free ports; ended with the run. Its home is a new folder, or one that is kept."""
    kept = os.environ.get(KEPT_HOME)
    home = Path(kept or tempfile.mkdtemp(prefix="maas-cluster-")).absolute()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # MariaDB runs as another user
    running = Services(home)
    yield running
    running.down()
    if not kept:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def shared_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of the cluster whose home folder ``MAAS_TEST_HOME`` names, else of one that is started for this run."""
    home = os.environ.get("MAAS_TEST_HOME")
    environment: dict[str, str] = request.getfixturevalue("services").environment if home is None else {}
    return environment or {"MAAS_PROFILE": "cluster", "MAAS__HOME": str(home)}


@pytest.fixture(scope="session")
def make_environment(shared_environment: dict[str, str]) -> Callable[[Path], dict[str, str]]:
    """Makes variables under which a command uses the cluster with a home folder, databases, bucket and folders of its own."""

    def make(home: Path) -> dict[str, str]:
        services = Path(shared_environment["MAAS__HOME"])
        shutil.copytree(services / "hadoop", home / "hadoop")
        shutil.copy(services / "secrets.yaml", home)
        return own_names({**shared_environment, "MAAS__HOME": str(home)})

    return make


@pytest.fixture(scope="session")
def cluster_environment(shared_environment: dict[str, str]) -> dict[str, str]:
    """Variables with databases, bucket and folders that the tests of this run share."""
    return own_names(shared_environment)


@pytest.fixture(scope="session")
def cluster(cluster_environment: dict[str, str]) -> Settings:
    """The settings of running services, with databases, bucket and folders of this run's own."""
    return load_settings(ROOT, "cluster", cluster_environment)


def own_names(environment: dict[str, str]) -> dict[str, str]:
    """``environment`` with databases and a bucket that are made here, and folders, that no other test uses."""
    settings, token = load_settings(ROOT, "cluster", environment), uuid.uuid4().hex[:8]
    own = {
        **environment,
        "MAAS__LAKE__ROOT": settings.lake.root.replace("/maas/", f"/{token}/"),
        "MAAS__DATABASE__URL": f"{settings.database.url}_{token}",
        "MAAS__JOURNAL__URL": f"{settings.journal.url}_{token}",
        "MAAS__MLFLOW__DATABASE": f"{settings.mlflow.database}_{token}",
        "MAAS__MLFLOW__ARTIFACTS": f"s3://{token}/mlflow",
        "MAAS__SOURCES__ROOT": settings.lake.root.replace("/maas/lake", f"/{token}"),
        "MAAS__SOURCES__PREFIX": f"t{token}_",
    }
    named = load_settings(ROOT, "cluster", own)
    for url, password in ((named.database.url, named.database.password), (named.mlflow.database, named.mlflow.password)):
        place = urlsplit(url)
        assert password is not None
        with (
            pymysql.connect(
                host=place.hostname, port=place.port or 0, user=place.username, password=password.get_secret_value()
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"CREATE DATABASE `{place.path.lstrip('/')}` CHARACTER SET utf8mb4")
    local.make_bucket(named)
    return own


@dataclass(frozen=True)
class Topic:
    """A topic of a test's own."""

    servers: str
    name: str

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def make(self, partitions: int) -> None:
        admin = self.admin  # a client that is let go forgets what it was asked
        admin.create_topics([NewTopic(self.name, partitions, 1)])[self.name].result(30)

    def send(self, *values: bytes | None, partition: int = 0, **more: Any) -> None:
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 0, "log_level": 0})
        for value in values:
            producer.produce(self.name, value, partition=partition, **more)
        assert producer.flush(30) == 0

    def grow(self, partitions: int) -> None:
        admin = self.admin
        admin.create_partitions([NewPartitions(self.name, partitions)])[self.name].result(30)

    def cut(self, before: int, partition: int = 0) -> None:
        """Delete records as retention does."""
        admin = self.admin
        (done,) = admin.delete_records([TopicPartition(self.name, partition, before)]).values()
        done.result(30)

    def delete(self) -> None:
        admin = self.admin
        admin.delete_topics([self.name])[self.name].result(30)
        while self.name in admin.list_topics(timeout=30).topics:
            admin.poll(0.05)


@pytest.fixture
def make_topic(cluster: Settings) -> Callable[[int], Topic]:
    def make(partitions: int) -> Topic:
        topic = Topic(cluster.kafka.servers, f"{cluster.sources.prefix}{uuid.uuid4().hex[:8]}")
        topic.make(partitions)
        return topic

    return make


@pytest.fixture
def mysql(cluster: Settings) -> Iterator[Callable[[str], None]]:
    """Runs one statement in the database ``test_flights`` of this run's own, which is empty."""
    place = urlsplit(cluster.database.url)
    password = cluster.database.password
    assert password is not None
    login: dict[str, Any] = {"host": place.hostname, "port": place.port, "user": place.username, "autocommit": True}
    with closing(pymysql.connect(**login, password=password.get_secret_value())) as connection:

        def execute(statement: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        name = f"{cluster.sources.prefix}test_flights"
        for statement in (f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"USE {name}"):
            execute(statement)
        yield execute
        execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own; ended with the run."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def postgres(own_postgres: Postgres) -> Postgres:
    """A PostgreSQL server whose database is empty."""
    own_postgres.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return own_postgres


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the cluster come last, and are marked; of those the ones that use our session come first.

    A JVM that is started beside native HDFS clients may wait for ever: its start forks a process that has their threads.
    Where several processes run the tests, each group is one's: it starts what its tests share, and no other does.
    """
    for item in items:
        if {"shared_environment", "services", "own_postgres"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("cluster")
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: (_group(item) == "cluster", _group(item) == "cluster" and not _uses_spark(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What tests wrote is sent from process to process as UTF-8, which half a surrogate pair is not."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def _group(item: pytest.Item) -> str:
    named = next((name for name in ("cluster", "dags") if item.get_closest_marker(name)), None)
    return named or ("spark" if _uses_spark(item) else "commands")


def _uses_spark(item: pytest.Item) -> bool:
    return "spark" in getattr(item, "fixturenames", ())
