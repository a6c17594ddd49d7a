"""The cluster profile gives what the local one gives: the same tables, metrics, version and answers, to the last bit."""

import json

import pytest

from core.contracts import Layer, ModelUid
from core.registry.versions import Registry

pytestmark = [pytest.mark.profiles, pytest.mark.timeout(1800)]  # the first test waits for whole pipelines


@pytest.mark.parametrize("layer", [Layer.EXTRACTED, Layer.QUARANTINE, Layer.FEATURES, Layer.SCORED])
def test_tables_hold_the_same_rows(platform, on_cluster, layer):
    local = [name for name in platform.lake.names() if name.layer is layer]
    assert [name for name in on_cluster.lake.names() if name.layer is layer] == local
    filled = [name for name in local if platform.lake.info(name).rows]
    assert filled
    assert filled == [name for name in local if on_cluster.lake.info(name).rows]
    for name in filled:
        ours, theirs = platform.content(str(name)), on_cluster.content(str(name))
        assert ours.schema.remove_metadata() == theirs.schema.remove_metadata(), name
        assert ours.equals(theirs), name


def test_metrics_and_transforms_are_the_same(platform, on_cluster):
    here, there = (Registry.open(p.settings).resolve(ModelUid("flights")) for p in (platform, on_cluster))
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
