"""The cluster profile gives what the local one gives: the same tables, metrics, version and answers, to the last bit."""

import json

import pytest

from core.contracts import Layer, ModelUid
from core.registry.versions import Registry
from tests.airline import small_airline

pytestmark = pytest.mark.timeout(1800)  # the first test waits for whole pipelines


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The variables of a project whose airline is small."""
    return small_airline(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def on_host(small, open_platform, tmp_path_factory):
    home = tmp_path_factory.mktemp("host")
    return filled(open_platform({"MAAS_PROFILE": "local", "MAAS__HOME": str(home), **small}))


@pytest.fixture(scope="module")
def on_cluster(small, make_environment, open_platform, tmp_path_factory):
    return filled(open_platform(make_environment(tmp_path_factory.mktemp("cluster")) | small))


def filled(platform):
    """The airline laid out where the profile's sources are, and the pipeline run over it."""
    seeded = platform.run("python", "-m", "jobs.airline", "--days", "24", "--every", "4")
    assert seeded.returncode == 0, seeded.stdout + seeded.stderr
    done = platform.maas("run", "flights")
    assert done.returncode == 0, done.stdout + done.stderr
    return platform


@pytest.mark.parametrize("layer", [Layer.EXTRACTED, Layer.QUARANTINE, Layer.FEATURES, Layer.SCORED])
def test_tables_hold_the_same_rows(on_host, on_cluster, layer):
    local = [name for name in on_host.lake.names() if name.layer is layer]
    assert [name for name in on_cluster.lake.names() if name.layer is layer] == local
    full = [name for name in local if on_host.lake.info(name).rows]
    assert full
    assert full == [name for name in local if on_cluster.lake.info(name).rows]
    for name in full:
        ours, theirs = on_host.content(str(name)), on_cluster.content(str(name))
        assert ours.schema.remove_metadata() == theirs.schema.remove_metadata(), name
        assert ours.equals(theirs), name


def test_metrics_and_transforms_are_the_same(on_host, on_cluster):
    here, there = (Registry.open(p.settings).resolve(ModelUid("flights")) for p in (on_host, on_cluster))
    assert there.evaluation == here.evaluation
    assert there.facts["transforms"] == here.facts["transforms"]


def test_a_second_run_changes_nothing_and_the_journal_knows_both(on_cluster):
    before = on_cluster.versions()
    done = on_cluster.maas("run", "flights")
    assert done.returncode == 0, done.stderr
    assert on_cluster.versions() == before
    assert "registered already" in done.stdout
    runs = [json.loads(line) for line in on_cluster.maas("runs", "flights", "--json").stdout.splitlines()]
    assert len(runs) == 12
    assert {run["state"] for run in runs} == {"done"}
