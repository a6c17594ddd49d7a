"""Spark reads a restored table as before, and ingestion goes on where it was, in a folder and on the cluster profile."""

import shutil
import uuid
from pathlib import Path

import pytest

from core.backup.backup import back_up
from core.backup.restore import restore
from core.backup.tables import restore_tables
from core.lake.catalog import Lake
from core.lake.tables import append
from etl.ingest import ingest
from etl.sources.files import FileSource
from etl.sources.records import Format
from tests.core.backup.conftest import FLIGHTS, OPS, Kept, content


def take(spark, lake: Lake, folder: Path, text: str) -> int:
    """Ingests what is new in a log; returns how many rows."""
    folder.mkdir(exist_ok=True)
    (folder / "a.log").write_text(text)
    return ingest(lambda: spark, lake, FileSource(folder, "*.log", Format.LOG), OPS, app="ops").rows


def both(spark, lake: Lake) -> tuple:
    """The log's table as Spark and as delta-rs read it."""
    spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # as in a process that starts
    rows = spark.read.format("delta").load(lake.path(OPS)).collect()
    return sorted(bytes(row["value"]) for row in rows), content(lake, OPS, "value", "ops")


def test_ingestion_goes_on_from_the_same_place_and_nothing_is_lost_or_doubled(spark, tmp_path):
    kept = Kept(tmp_path)
    assert take(spark, kept.lake, tmp_path / "in", "one\ntwo\n") == 2
    place = kept.lake.path(OPS)
    spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES (delta.checkpointInterval = 2)")
    assert take(spark, kept.lake, tmp_path / "in", "one\ntwo\nthree\n") == 1
    assert list(kept.log(OPS).glob("*.checkpoint.parquet"))
    kept.back_up()
    before = both(spark, kept.lake)
    assert before[0] == before[1]["rows"] == [b"one", b"three", b"two"]
    # when
    shutil.rmtree(kept.log(OPS))
    restore_tables(kept.settings, kept.place, ["raw.ops"])
    # then
    assert both(spark, kept.lake) == before
    assert take(spark, kept.lake, tmp_path / "in", "one\ntwo\nthree\nfour\n") == 1
    assert take(spark, kept.lake, tmp_path / "in", "one\ntwo\nthree\nfour\n") == 0
    assert both(spark, kept.lake)[0] == [b"four", b"one", b"three", b"two"]
    # and a table with deletion vectors, whose files alone say too much, is not taken
    spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    spark.sql(f"DELETE FROM delta.`{place}` WHERE value = X'{b'one'.hex()}'")  # noqa: S608 — the test's own folder
    assert [line.split(" ")[0] for line in kept.back_up()] == ["0", "raw.ops"]


@pytest.mark.cluster
def test_a_restored_cluster_platform_answers_the_same(spark, cluster, tmp_path):
    # given a lake on HDFS that was ingested into, and a backup in S3 of it and of MySQL's, MongoDB's and MLflow's rows
    root = f"{cluster.lake.root}-{uuid.uuid4().hex[:8]}"
    settings = cluster.model_copy(update={"home": tmp_path, "lake": cluster.lake.model_copy(update={"root": root})})
    lake, logs = Lake.of(settings), tmp_path / "in"
    assert not lake.local
    for number in (1, 2, 3):
        append(lake, spark.range(number, number + 1), FLIGHTS, app="ours", number=number, facts={"at": number})
    take(spark, lake, logs, "one\ntwo\n")
    known = content(lake, FLIGHTS), both(spark, lake)
    place = f"{cluster.mlflow.artifacts.removesuffix('/mlflow')}/{uuid.uuid4().hex[:8]}"
    assert "2 tables with their commit logs; data files are backed up by their file system" in back_up(settings, place)
    # when one log is lost, the other damaged, and the platform restored
    lake.files.remove_folder(f"{lake.path(OPS)}/_delta_log")
    lake.files.write(f"{lake.path(FLIGHTS)}/_delta_log/{1:020}.json", b"")
    lines = restore(settings, place, force=True)
    # then
    assert [line.split(";")[0] for line in lines[1:]] == [
        "raw.flights: commit log restored, version 2",
        "raw.ops: commit log restored, version 0",
    ]
    assert (content(lake, FLIGHTS), both(spark, lake)) == known
    assert take(spark, lake, logs, "one\ntwo\nthree\n") == 1
    # and a data file that is missing is named, while the other stores are restored
    (gone,) = lake.snapshot(OPS, 0).files
    lake.files.remove(gone)
    lake.files.remove_folder(f"{lake.path(OPS)}/_delta_log")
    lines = restore(settings, place, force=True)
    assert [line.split(":")[0] for line in lines[1:]] == ["raw.ops lacks 1 of the 1 data files of version 0"]
    assert not lake.exists(OPS)
