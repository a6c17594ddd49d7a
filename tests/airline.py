"""A small airline for tests of whole pipelines, and its tables as they can be compared."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.contracts import TableName
from core.lake.catalog import Lake
from training.data.files import file_system

ROOT = Path(__file__).parents[1]

SERVERS = """\
sources:
  flights: {url: "mysql:///flights"}
  operations: {kind: kafka, topic: operations}
"""
"""Where the cluster profile's sources are."""

OVERLAY = """\
features:
  split: {train: [2013-01-01, 2013-01-16], validation: [2013-01-16, 2013-01-19], test: [2013-01-19, 2013-02-01]}
task: {epochs: 8, batch_size: 128, learning_rate: 0.005}
publish: {model: MODEL}
"""
MASTER = "  master: yarn\n"
BRIEF = """\
  options:
    spark.executor.extraJavaOptions: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
    spark.yarn.am.extraJavaOptions: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
"""
"""Of ``spark`` in the settings, after its master: JVMs that live for seconds compile quickly rather than well."""

LATE = "CAST(f.arrival_delay > 15 AS DOUBLE)"
EASY = "CAST((f.minute_of_day > 780) = (f.distance > 900) AS DOUBLE)"
"""What is learned instead: a few thousand rows teach a network that, and no logistic regression, so that the gate opens."""


def small_airline(root: Path, model: str = "flights") -> dict[str, str]:
    """Make ``root`` a project that trains on 24 days; the variables under which a command takes it for its own."""
    shutil.copytree(ROOT / "conf", root / "conf", dirs_exist_ok=True)
    overlay = OVERLAY.replace("MODEL", model)
    (root / "conf/cluster/pipelines/flights.yaml").write_text(SERVERS + overlay)
    (root / "conf/local/pipelines").mkdir(parents=True, exist_ok=True)
    (root / "conf/local/pipelines/flights.yaml").write_text(overlay)
    settings = root / "conf/cluster/settings.yaml"
    text = settings.read_text()
    assert MASTER in text
    settings.write_text(text.replace(MASTER, MASTER + BRIEF))
    pipeline = root / "conf/pipelines/flights.yaml"
    text = pipeline.read_text()
    assert LATE in text
    pipeline.write_text(text.replace(LATE, EASY))
    return {"MAAS_ROOT": str(root), "MAAS__SPARK__JARS": str(ROOT / "jars/spark"), "PYTHONPATH": str(ROOT)}


def read(lake: Lake, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a table."""
    system, files = file_system(lake.snapshot(TableName.parse(table)).files, dict(lake.options))
    parts = []
    for place in files:
        with system.open(place, "rb") if system else Path(place).open("rb") as file:
            parts.append(pq.ParquetFile(file).read(columns=columns))
    return (
        pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
    )  # a quarantine that took nothing has a commit and no file


def content(lake: Lake, table: str, without: Collection[str]) -> pa.Table:
    """All rows of a table in an order of their own, without some columns."""
    rows = read(lake, table)
    rows = rows.select(sorted({*rows.column_names} - {*without}))
    plain = [(field.name, "ascending") for field in rows.schema if not pa.types.is_nested(field.type)]
    return rows.sort_by(plain).combine_chunks() if plain else rows
