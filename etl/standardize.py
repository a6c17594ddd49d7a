"""Features: extracted tables joined by the pipeline's SQL, split by time, standardized by what the training split fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import Field, field_validator, model_validator
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.config import Strict
from core.contracts import Layer, TableName
from core.errors import ConfigError, TableError
from core.features.fitted import FittedFeatures
from core.features.plan import TransformPlan
from core.lake.catalog import Lake
from core.lake.tables import overwrite, read_table
from etl.transforms import apply, fit

SPLITS = ("train", "validation", "test")
_PARTITIONS = 4
"""Of the feature table. Another number changes the last digits of what is fitted, and with them every digest after."""


class SplitConfig(Strict):
    """Half-open ranges ``[from, to)`` of a date column, in the order of time and without overlap."""

    by: str
    train: tuple[date, date]
    validation: tuple[date, date]
    test: tuple[date, date]

    @model_validator(mode="after")
    def _in_order(self) -> SplitConfig:
        days = [*self.train, *self.validation, *self.test]
        if days != sorted(days) or any(a == b for a, b in (self.train, self.validation, self.test)):
            raise ValueError("train, validation and test must follow each other in time, each [from, to) with from < to")
        return self


class FeaturesConfig(Strict):
    """What the feature table holds."""

    table: str
    key: list[str] = Field(min_length=1)
    label: str
    sql: str
    split: SplitConfig
    transforms: list[TransformPlan] = Field(min_length=1)
    required: list[str] = []
    """Raw columns that a request must give a value for; any other may be absent or null."""

    @field_validator("table")
    @classmethod
    def _in_its_layer(cls, name: str) -> str:
        if TableName.parse(name).layer is not Layer.FEATURES:
            raise ValueError(f"{name}: a feature table lies in the layer features")
        return name

    @model_validator(mode="after")
    def _label_is_no_input(self) -> FeaturesConfig:
        for plan in self.transforms:
            if self.label in plan.columns:
                raise ValueError(f"the label {self.label!r} is an input of transform {plan.kind!r}: it would leak")
        unread = sorted(set(self.required) - {column for plan in self.transforms for column in plan.columns})
        if unread:
            raise ValueError(f"required: no transform reads {', '.join(unread)}")
        return self


@dataclass(frozen=True, slots=True)
class Standardized:
    """The state of the feature table after a run: its version, rows by split, and the fitted transforms."""

    version: int
    rows: dict[str, int]
    fitted: FittedFeatures
    written: bool


def assemble(spark: SparkSession, frames: Mapping[str, DataFrame], sql: str) -> DataFrame:
    """The result of ``sql`` over ``frames``, each visible under its name; raises ConfigError when the SQL does not fit them."""
    with ExitStack() as views:
        for name, frame in frames.items():
            frame.createOrReplaceTempView(name)
            views.callback(spark.catalog.dropTempView, name)
        try:
            return spark.sql(sql)
        except AnalysisException as error:
            first = str(error).split("\n", 1)[0]
            raise ConfigError(f"features.sql: {first}") from error


def standardize(spark: SparkSession, lake: Lake, config: FeaturesConfig, tables: list[TableName], *, app: str) -> Standardized:
    """Bring the feature table up to its inputs; when neither they nor the definition changed, nothing is written.

    ``tables`` are the extracted tables, seen by the SQL under their bare names. The table is written whole, in one commit,
    which records the versions of its inputs and the fitted transforms. The same rows give the same files and the same fitted
    state, whatever files, order and partitions they come in. Raises TableError when a split has no labelled row, or a key
    stands twice.
    """
    into = TableName.parse(config.table)
    with lake.exclusive(into):
        current = find_current(lake, config, tables, app=app)
        if current is not None:
            return current
        versions = {table: lake.version(table) for table in tables}
        facts = _definition(lake, config, versions)
        frames = {table.name: read_table(spark, lake, table, version) for table, version in versions.items()}
        frame = _canonical(_with_split(assemble(spark, frames, config.sql), config), config).persist()
        try:
            rows = _count(frame, config)
            fitted = fit(frame.where(F.col("split") == "train"), tuple(config.transforms))
            commit = overwrite(
                lake,
                apply(frame, fitted),
                into,
                app=app,
                number=lake.number(into, app) + 1,
                facts={**facts, "rows": rows, "fitted": fitted.to_json(), "transforms": fitted.digest},
                partition_by=("split",),
            )
        finally:
            frame.unpersist()
        return Standardized(commit.version, rows, fitted, written=True)


def find_current(lake: Lake, config: FeaturesConfig, tables: list[TableName], *, app: str) -> Standardized | None:
    """The feature table as it stands when neither inputs nor definition changed since, else None; takes no Spark session.

    Raises TableError when an input is missing.
    """
    into = TableName.parse(config.table)
    known = lake.facts(into, app)
    definition = _definition(lake, config, dict.fromkeys(tables))
    if known is None or any(known.get(key) != value for key, value in definition.items()):
        return None
    return Standardized(lake.rows_version(into) or 0, known["rows"], FittedFeatures.from_json(known["fitted"]), written=False)


def load_fitted(lake: Lake, table: TableName, app: str) -> FittedFeatures:
    """The transforms that the feature table was made with; raises TableError when the table is missing."""
    facts = lake.facts(table, app)
    if facts is None:
        raise TableError(f"{table} has no fitted transforms: run the step standardize first", table=str(table))
    return FittedFeatures.from_json(facts["fitted"])


def _definition(lake: Lake, config: FeaturesConfig, versions: Mapping[TableName, int | None]) -> dict[str, Any]:
    """What the feature table is made by; ``versions`` of its inputs (None: the newest), of which compaction makes no other."""
    inputs = {str(table): lake.rows_version(table, version) for table, version in versions.items()}
    missing = [name for name, version in inputs.items() if version is None]
    if missing:
        raise TableError(f"{', '.join(missing)}: no such table: run the step extract first", tables=missing)
    canonical = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return {"inputs": inputs, "definition": hashlib.sha256(canonical.encode()).hexdigest()}


def _with_split(frame: DataFrame, config: FeaturesConfig) -> DataFrame:
    day = F.col(config.split.by).cast("date")
    split = F.lit(None).cast("string")
    for name in SPLITS:
        first, after = getattr(config.split, name)
        split = F.when((day >= F.lit(first)) & (day < F.lit(after)), F.lit(name)).otherwise(split)
    needed = {*config.key, config.label, config.split.by, *(c for plan in config.transforms for c in plan.columns)}
    if absent := sorted(needed - set(frame.columns)):
        raise ConfigError(f"features.sql does not return {', '.join(absent)}, which key, label, split or transforms name")
    return frame.withColumn("split", F.coalesce(split, F.lit("outside")))


def _canonical(frame: DataFrame, config: FeaturesConfig) -> DataFrame:
    """The rows in partitions and an order that their keys alone decide: sums of floating-point numbers depend on both."""
    return frame.repartition(_PARTITIONS, *config.key).sortWithinPartitions("split", *config.key)


def _count(frame: DataFrame, config: FeaturesConfig) -> dict[str, int]:
    counts = frame.groupBy("split").agg(F.count("*").alias("rows"), F.count(config.label).alias("labelled")).collect()
    labelled = {row["split"]: row["labelled"] for row in counts}
    for name in SPLITS:
        if not labelled.get(name):
            first, after = getattr(config.split, name)
            raise TableError(
                f"{config.table}: split {name!r} ({config.split.by} from {first} to {after}) has no row with a label: "
                "widen the range, or ingest more",
                table=config.table,
            )
    twice = frame.groupBy(*config.key).count().where("count > 1").limit(1).collect()
    if twice:
        keys = ", ".join(f"{name}={twice[0][name]}" for name in config.key)
        raise TableError(f"{config.table}: key {keys} stands {twice[0]['count']} times: a join in features.sql multiplies rows")
    return {row["split"]: row["rows"] for row in counts}
