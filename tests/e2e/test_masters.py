"""Every step by `maas submit`, on YARN and on Spark's own cluster: the same tables, metrics and scores."""

import json

import pytest

from core.contracts import Layer, ModelUid
from core.registry.versions import Registry
from jobs.cluster.services_file import OFFSET, ServicesFile
from jobs.run import STEPS
from tests.airline import small_airline

pytestmark = [pytest.mark.masters, pytest.mark.timeout(1800)]  # the first test waits for two pipelines

AIRLINE = ("--days", "24", "--every", "4")
SOURCES = ("MAAS__SOURCES__ROOT", "MAAS__SOURCES__PREFIX")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The variables of a project whose airline has 24 days."""
    return small_airline(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def on_yarn(small, make_environment, open_platform, tmp_path_factory):
    platform = open_platform(make_environment(tmp_path_factory.mktemp("yarn")) | small)
    seeded = platform.run("python", "-m", "jobs.airline", *AIRLINE)
    assert seeded.returncode == 0, seeded.stdout + seeded.stderr
    return submit_all(platform)


@pytest.fixture(scope="module")
def on_spark(on_yarn, small, make_environment, open_platform, tmp_path_factory):
    """A lake, databases and a bucket of its own, filled from the same sources by executors of Spark's own cluster."""
    environment = (
        make_environment(tmp_path_factory.mktemp("spark")) | small | {name: on_yarn.environment[name] for name in SOURCES}
    )
    platform = open_platform(environment)
    started = platform.maas("cluster", "up", "--only", "spark")
    assert started.returncode == 0, started.stdout + started.stderr
    port = ServicesFile.of(platform.settings).ports.spark_master + int(environment.get(OFFSET, "0"))
    yield submit_all(platform, "--master", f"spark://127.0.0.1:{port}")
    ended = platform.maas("cluster", "down", "--only", "spark")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def submit_all(platform, *options):
    for step in STEPS:
        done = platform.maas("submit", step, *options, "flights")
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    return platform


def test_each_step_ran_once_on_each_master(on_yarn, on_spark):
    for platform in (on_yarn, on_spark):
        runs = [json.loads(line) for line in platform.maas("runs", "flights", "--json").stdout.splitlines()]
        assert [(run["step"], run["state"]) for run in reversed(runs)] == [(step, "done") for step in STEPS]


@pytest.mark.parametrize("layer", [Layer.EXTRACTED, Layer.QUARANTINE, Layer.FEATURES, Layer.SCORED])
def test_both_masters_give_the_same_rows(on_yarn, on_spark, layer):
    names = [name for name in on_yarn.lake.names() if name.layer is layer and on_yarn.lake.info(name).rows]
    assert names
    assert names == [name for name in on_spark.lake.names() if name.layer is layer and on_spark.lake.info(name).rows]
    for name in names:
        assert on_yarn.content(str(name)).equals(on_spark.content(str(name))), name


def test_both_masters_give_the_same_model(on_yarn, on_spark):
    here, there = (Registry.open(p.settings).resolve(ModelUid("flights")) for p in (on_yarn, on_spark))
    assert there.evaluation == here.evaluation
    assert there.facts["transforms"] == here.facts["transforms"]
