"""Ingestion that goes on, in processes of its own: killed, begun again, and ended by SIGTERM."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from core.contracts import TableName
from core.lake.catalog import Lake
from core.settings import load_settings
from jobs.pipeline import load_pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A platform of the local profile whose pipeline ``flights`` reads empty logs."""
    root = tmp_path / "root"
    shutil.copytree(ROOT / "conf", root / "conf")
    (root / "jars").symlink_to(ROOT / "jars")
    for name in load_pipeline(load_settings(ROOT, "local", {}), "flights").pipeline.sources:
        (tmp_path / "home" / name).mkdir(parents=True)
        (tmp_path / "home" / name / "empty.log").touch()
    more = {"MAAS_ROOT": str(root), "MAAS_PROFILE": "local", "MAAS__HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAAS_")}
    return {**inherited, **more}


def lay_over(environment: dict[str, str], **sources: dict[str, str]) -> None:
    names = load_pipeline(load_settings(ROOT, "local", {}), "flights").pipeline.sources
    file = Path(environment["MAAS_ROOT"]) / "conf" / "local" / "pipelines" / "flights.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        yaml.safe_dump({"sources": {name: sources.get(name, {"kind": "log", "folder": name, "pattern": "*"}) for name in names}})
    )


@contextmanager
def following(environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "jobs.cli", "ingest", "flights", "--follow", "--every", "0.1"]
    with output.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(claim: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 240
    while not claim():
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)


def test_following_is_killed_begun_again_and_ended_and_each_record_is_there_once(
    environment: dict[str, str], tmp_path: Path, make_topic: Callable[[int], Any]
):
    # given a topic, and a database that is away
    topic, output = make_topic(1), tmp_path / "output"
    away = {"kind": "database", "url": "postgresql://ann@127.0.0.1:1/x", "table": "t", "watermark": "id"}
    lay_over(environment, operations={"kind": "kafka", "topic": topic.name, "servers": topic.servers}, flights=away)
    settings = load_settings(Path(environment["MAAS_ROOT"]), "local", environment)
    table = Lake.of(settings).path(TableName.parse("raw.operations"))

    def offsets() -> list[int]:
        there = DeltaTable.is_deltatable(table)
        return sorted(DeltaTable(table).to_pyarrow_table(columns=["_offset"])["_offset"].to_pylist()) if there else []

    # when it is killed while records come
    topic.send(*(str(n).encode() for n in range(5)))
    with following(environment, output) as first:
        wait_for(lambda: bool(offsets()), first, output)
        topic.send(*(str(n).encode() for n in range(5, 10)))
    kept = len(offsets())
    # and begun again
    with following(environment, output) as second:
        wait_for(lambda: len(offsets()) >= 10, second, output)
        topic.send(b"10", b"11", None)
        wait_for(lambda: len(offsets()) >= 13, second, output)
        second.send_signal(signal.SIGTERM)
        assert second.wait(120) == 0, output.read_text()
    # then
    assert offsets() == list(range(13))
    said = output.read_text()
    assert "maas: table 't' cannot be read (postgresql at 127.0.0.1:1): Connection refused" in said
    assert f"raw.operations: {13 - kept} new rows" in said
