"""Drill D9: fifty random increments, late records, rotations and replays among them, give what one run over all of it gives."""

import random
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from core.config import validate
from core.contracts import TableName
from core.lake.catalog import Lake
from etl.extract import extract
from etl.ingest import ingest
from etl.replay import replay
from etl.rules.config import RuleFile, read_rules
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.standardize import FeaturesConfig, standardize
from tests.airline import read

pytestmark = [pytest.mark.drills, pytest.mark.timeout(1800)]

INCREMENTS, SEED = 50, 5
SALES = TableName.parse("extracted.sales")
RULES = {
    "version": 1,
    "tables": [
        {
            "from": "raw.sales",
            "into": str(SALES),
            "rules": [
                {"name": "sale", "kind": "regex", "pattern": r"(?<day>\S+) (?<id>\d+) (?<shop>[a-z]) (?<price>\S+)", "fields": {
                    "id": {"type": "long", "required": True}, "day": {"type": "date"}, "shop": {"type": "string"},
                    "price": {"type": "double", "required": True}}},
            ],
            "checks": [{"name": "not_negative", "kind": "range", "column": "price", "min": 0}],
        }
    ],
}  # fmt: skip
FEATURES = {
    "table": "features.sales",
    "key": ["id"],
    "label": "sold",
    "sql": "SELECT id, day, price, shop, CAST(id % 2 AS DOUBLE) AS sold FROM sales",
    "split": {
        "by": "day",
        "train": ["2020-01-01", "2020-03-01"],
        "validation": ["2020-03-01", "2020-03-16"],
        "test": ["2020-03-16", "2020-05-01"],
    },
    "transforms": [{"kind": "zscore", "columns": ["price"]}, {"kind": "onehot", "columns": ["shop"]}],
}


def grow(draw: random.Random, folder: Path, number: int) -> None:
    """Some lines more: of the days about this increment, a few of long before, and some that are no sales."""
    log = folder / f"{draw.choice('ab')}.log"
    if log.exists() and draw.random() < 0.2:
        log.rename(log.with_name(f"{log.name}.{number}"))
    with log.open("a", encoding="utf-8") as file:
        for n in range(draw.randint(0, 40)):
            at = draw.randint(0, number * 2) if draw.random() < 0.1 else number * 2
            day = date(2020, 1, 1) + timedelta(days=at)
            price = (
                draw.choice([f"{draw.uniform(0, 900):.2f}", "-1", "1.2.3"]) if draw.random() < 0.1 else str(draw.randint(1, 99))
            )
            file.write(f"{day} {number * 1000 + n} {draw.choice('xyz')} {price}\n")


class Platform:
    """A lake that reads the folder."""

    def __init__(self, spark: SparkSession, root: Path, folder: Path) -> None:
        self.spark, self.lake, self.source = spark, Lake(root), FileSource(folder, "*.log*", Format.LOG)
        (self.rules,) = read_rules("sales", validate(RULES, RuleFile, "sales"), "sales").tables

    def take(self) -> None:
        ingest(lambda: self.spark, self.lake, self.source, self.rules.source, app="sales/ingest")
        extract(self.spark, self.lake, self.rules, app="sales/extract")

    def features(self) -> None:
        standardize(self.spark, self.lake, FeaturesConfig.model_validate(FEATURES), [SALES], app="sales/standardize")

    def content(self, table: str) -> pa.Table:
        rows = read(self.lake, table, None)
        return rows.select(sorted(set(rows.column_names) - {"_source", "_offset", "_batch", "_ingested_at"}))


def test_increments_give_what_one_run_over_all_gives(spark: SparkSession, tmp_path: Path):
    draw, folder = random.Random(SEED), tmp_path / "in"
    folder.mkdir()
    steady = Platform(spark, tmp_path / "steady", folder)
    for number in range(INCREMENTS):
        grow(draw, folder, number)
        steady.take()
        if number % 10 == 4:
            replay(spark, steady.lake, steady.rules, app="sales/extract")
        if number == INCREMENTS - 6:  # by then there are rows of each split
            steady.features()
    steady.features()
    once = Platform(spark, tmp_path / "once", folder)
    once.take()
    once.features()
    for table, key in ((str(SALES), "id"), ("quarantine.sales", "raw")):
        found, wanted = (one.content(table).sort_by(key).to_pylist() for one in (steady, once))
        assert len(found) > 10
        assert found == wanted
    found, wanted = (one.content("features.sales").sort_by("id").to_pylist() for one in (steady, once))
    assert [{name: row[name] for name in ("id", "day")} for row in found] == [
        {n: row[n] for n in ("id", "day")} for row in wanted
    ]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
