"""The cluster profile gives what the local one gives: the same tables, metrics, version and answers, to the last bit."""

import json

import pyarrow as pa
import pytest

from core.contracts import Layer, ModelUid
from core.registry.versions import Registry

pytestmark = pytest.mark.profiles

PROVENANCE = {"_source", "_offset", "_ingested_at", "_batch", "_header", "raw"}
"""Where and when a record came from, and the bytes in which it came: they differ by the kind of source."""


def content(platform, name: str) -> pa.Table:
    """A table's rows in an order of their own, without provenance."""
    table = platform.rows(name)
    table = table.select(sorted(set(table.column_names) - PROVENANCE))
    plain = [(field.name, "ascending") for field in table.schema if not pa.types.is_nested(field.type)]
    return table.sort_by(plain).combine_chunks()


@pytest.mark.parametrize("layer", [Layer.EXTRACTED, Layer.QUARANTINE, Layer.FEATURES, Layer.SCORED])
def test_tables_hold_the_same_rows(platform, on_cluster, layer):
    local = [name for name in platform.lake.names() if name.layer is layer]
    assert [name for name in on_cluster.lake.names() if name.layer is layer] == local
    filled = [name for name in local if platform.lake.info(name).rows]
    assert filled
    assert filled == [name for name in local if on_cluster.lake.info(name).rows]
    for name in filled:
        ours, theirs = content(platform, str(name)), content(on_cluster, str(name))
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
    runs = json.loads(on_cluster.maas("runs", "flights", "--json").stdout)
    assert len(runs) == 12
    assert {run["state"] for run in runs} == {"done"}
