"""What docs/maintenance.md shows works as it stands there, and leaves a platform on which nothing is made again."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.contracts import ModelUid, TableName
from core.registry.versions import Registry

ROOT = Path(__file__).parents[2]
DRIFTED = 3


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.mark.timeout(1800)
def test_every_command_of_the_page_succeeds_and_nothing_is_made_again(platform):
    for line in commands("docs/maintenance.md"):
        done = platform.run("bash", "-c", line)
        assert done.returncode == (DRIFTED if line.startswith("maas drift") else 0), f"{line}\n{done.stdout}{done.stderr}"
        if line.endswith("--json"):
            found = json.loads(done.stdout)
            assert found["model"] == "flights:1"
            assert "temperature" in found["drifted"]
            assert {column["name"] for column in found["columns"]} >= {"carrier", "origin", "hour", "distance", "wind_speed"}
            assert found["current_rows"] > 1000
        if line == "maas tables holds":
            assert "audit of the first load" in done.stdout
            assert "model flights:1" in done.stdout
    # when the pipeline runs again after its features were compacted too
    done = platform.maas("tables", "optimize", "features.flights")
    assert done.returncode == 0, done.stdout + done.stderr
    before = platform.versions()
    assert before["features.flights"] > platform.lake.rows_version(TableName.parse("features.flights"))
    done = platform.maas("run", "flights")
    # then what compaction rewrote is no news
    assert done.returncode == 0, done.stdout + done.stderr
    assert platform.versions() == before
    assert "unchanged: run" in done.stdout
    assert "scored already" in done.stdout


def test_a_vacuum_of_all_that_may_go_leaves_the_dataset_of_the_model(platform):
    done = platform.maas("tables", "vacuum", "--keep-days", "0", "--nothing-runs")
    assert done.returncode == 0, done.stdout + done.stderr
    table, version = Registry.open(platform.settings).resolve(ModelUid("flights")).dataset
    assert table == TableName.parse("features.flights")
    snapshot = platform.lake.snapshot(table, version)
    assert sum(pq.ParquetFile(file).metadata.num_rows for file in snapshot.files) == snapshot.rows > 0
    for name in platform.lake.names():
        files = platform.lake.snapshot(name).files
        assert sum(pq.ParquetFile(file).metadata.num_rows for file in files) == platform.lake.info(name).rows


def test_one_table_that_must_be_left_does_not_keep_the_others(platform):
    hold = platform.home / "lake" / "_holds" / "raw.flights" / "0.json"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.write_text("{", encoding="utf-8")
    done = platform.maas("tables", "vacuum", "--dry-run")
    hold.unlink()
    assert done.returncode == 1
    assert re.fullmatch(r"maas: .*_holds/raw\.flights/0\.json is no hold: .*\n", done.stderr)
    assert "raw.weather" in done.stdout
    assert "raw.flights" not in done.stdout
