"""The airline on servers: the same rows and lines as in its files, once."""

import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from core.settings import Settings
from etl.sources.config import open_source
from etl.sources.database import DatabaseSource
from etl.sources.source import Source
from jobs.airline import lay_out
from jobs.pipeline import load_pipeline
from jobs.seed import fill


def test_fewer_days_are_the_beginning_of_more(tmp_path: Path):
    small, large = lay_out(tmp_path / "small", days=2), lay_out(tmp_path / "large", days=3)
    for name in ("weather/2013-01.jsonl", "operations/2013-01.log"):
        few, many = (small / name).read_bytes(), (large / name).read_bytes()
        assert many.startswith(few) and len(many) > len(few) > 0
    few_rows, many_rows = (_rows(folder / "flights.db") for folder in (small, large))
    assert many_rows[: len(few_rows)] == few_rows and len(few_rows) == 842 + 943
    assert lay_out(tmp_path / "small", days=3) == small  # it grows
    assert _rows(small / "flights.db") == many_rows
    with pytest.raises(ConfigError, match=r"holds 3 days .* not 2 and 1: remove it"):
        lay_out(small, days=2)


def _rows(file: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return list(connection.execute("SELECT * FROM flights ORDER BY flight_id"))


@pytest.fixture
def site(cluster: Settings) -> Settings:
    """The cluster, with names that no other test of this run uses."""
    token = uuid.uuid4().hex[:8]
    sources = {"prefix": f"{cluster.sources.prefix}{token}_", "root": f"{cluster.sources.root}/{token}"}
    return cluster.model_copy(update={"sources": cluster.sources.model_copy(update=sources)})


@pytest.fixture
def filled(site: Settings, tmp_path: Path) -> Path:
    folder = lay_out(tmp_path / "flights", days=1)
    fill(site, folder)
    return folder


def values(spark: SparkSession, source: Source) -> list[bytes]:
    rows = source.read(spark, source.plan(lambda: spark, None)).orderBy("_source", "_offset").collect()
    return [bytes(row.value) for row in rows]


def test_servers_hold_the_same_bytes_as_the_files_once(spark: SparkSession, site: Settings, filled: Path):
    sources = {name: open_source(config, site) for name, config in load_pipeline(site, "flights").pipeline.sources.items()}
    flights = sources["flights"]
    assert isinstance(flights, DatabaseSource)
    local = replace(flights, url=f"sqlite:///{filled / 'flights.db'}")
    # when it is filled again, and with a day more
    assert {line.rpartition(": ")[2].split()[0] for line in fill(site, filled)} == {"0"}
    lay_out(filled, days=2)
    fill(site, filled)
    # then
    assert values(spark, flights) == values(spark, local)
    for name, file in (("operations", "operations/2013-01.log"), ("weather", "weather/2013-01.jsonl")):
        assert values(spark, sources[name]) == (filled / file).read_bytes().split(b"\n")[:-1]
    # and another airline is not mixed in
    with pytest.raises(ConfigError, match="rows of another airline: drop it"):
        fill(site, lay_out(filled.with_name("other"), every=3, days=4))
