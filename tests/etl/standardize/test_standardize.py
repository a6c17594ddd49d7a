import random
from dataclasses import replace
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from core.contracts import TableName
from core.errors import ConfigError, TableError
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.tables import append, read_table
from etl.standardize import FeaturesConfig, find_current, load_fitted, standardize

SALES = TableName.parse("extracted.sales")
INTO = TableName.parse("features.sales")
APP = "sales/standardize/features.sales"
SECTION = {
    "table": "features.sales",
    "key": ["id"],
    "label": "sold",
    "sql": "SELECT id, day, price, shop, CAST(id % 2 AS DOUBLE) AS sold FROM sales",
    "split": {
        "by": "day",
        "train": ["2020-01-01", "2020-02-01"],
        "validation": ["2020-02-01", "2020-02-11"],
        "test": ["2020-02-11", "2020-03-01"],
    },
    "transforms": [{"kind": "zscore", "columns": ["price"]}, {"kind": "onehot", "columns": ["shop"]}],
}


def config(**changes):
    return FeaturesConfig.model_validate({**SECTION, **changes})


def rows(first, days):
    start = date(2020, 1, 1)
    return [(first + n, start + timedelta(days=first + n), float(n * n), "a" if n % 3 else "b") for n in range(days)]


def add(spark, lake, number, data):
    frame = spark.createDataFrame(data, "id long, day date, price double, shop string")
    append(lake, frame, SALES, app="test", number=number, facts={})


@pytest.fixture
def lake(tmp_path, spark):
    lake = Lake(tmp_path)
    add(spark, lake, 1, rows(0, 55))
    return lake


def run(spark, lake, section=None):
    return standardize(spark, lake, section or config(), [SALES], app=APP)


def test_the_table_has_raw_columns_label_split_and_features_fitted_on_train_only(spark, lake):
    done = run(spark, lake)
    table = {row["id"]: row for row in read_table(spark, lake, INTO).collect()}
    assert done.rows == {"train": 31, "validation": 10, "test": 14}
    assert [name for name in table[0].asDict() if "__" in name] == list(done.fitted.outputs)
    train = [row["price__zscore"] for row in table.values() if row["split"] == "train"]
    assert sum(train) == pytest.approx(0, abs=1e-4)
    assert sum(value * value for value in train) / len(train) == pytest.approx(1, abs=1e-5)
    assert table[54]["price__zscore"] > max(train)
    assert load_fitted(lake, INTO, APP) == done.fitted


def noisy(seed):
    """Rows whose sums depend on their order, shuffled."""
    rng = random.Random(1)
    start = date(2020, 1, 1)
    data = [(n, start + timedelta(days=n % 55), rng.uniform(-1, 1) * 10 ** rng.randint(-6, 9), "ab"[n % 2]) for n in range(3000)]
    random.Random(seed).shuffle(data)
    return data


def contents(lake):
    """The rows of each file in order; files by split and partition."""
    files = lake.snapshot(INTO).files
    return [pq.ParquetFile(file).read().to_pylist() for file in files]


@pytest.mark.parametrize(("pieces", "partitions", "adaptive"), [(1, 1, "false"), (3, 7, "true")])
def test_the_same_rows_give_the_same_state_and_files_however_they_lie(tmp_path, spark, pieces, partitions, adaptive):
    one, other = Lake(tmp_path / "one"), Lake(tmp_path / "other")
    add(spark, one, 1, noisy(1))
    for number, piece in enumerate((noisy(2)[start::pieces] for start in range(pieces)), start=1):
        add(spark, other, number, piece)
    first = run(spark, one)
    before = {key: spark.conf.get(key) for key in ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")}
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    spark.conf.set("spark.sql.adaptive.enabled", adaptive)
    try:
        second = run(spark, other)
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)

    assert second.fitted.digest == first.fitted.digest
    assert contents(other) == contents(one)
    keys = [[row["id"] for row in rows] for rows in contents(one)]
    assert keys == [sorted(part) for part in keys]


def test_nothing_is_written_until_inputs_or_definition_change(spark, lake):
    assert find_current(lake, config(), [SALES], app=APP) is None
    assert run(spark, lake).written
    again = run(spark, lake)
    assert not again.written
    assert find_current(lake, config(), [SALES], app=APP) == again
    assert lake.version(INTO) == 0
    assert run(spark, lake, config(transforms=[{"kind": "minmax", "columns": ["price"]}])).version == 1
    add(spark, lake, 2, rows(55, 3))
    again = run(spark, lake, config(transforms=[{"kind": "minmax", "columns": ["price"]}]))
    assert (again.version, sum(again.rows.values())) == (2, 58)


def test_compaction_of_inputs_and_features_makes_no_new_dataset(spark, lake):
    add(spark, lake, 2, rows(55, 3))
    done = run(spark, lake)
    for table in (SALES, INTO):
        assert compact(spark, lake, table).changed
    assert find_current(lake, config(), [SALES], app=APP) == replace(done, written=False)
    assert not run(spark, lake).written
    add(spark, lake, 3, rows(58, 1))
    assert (run(spark, lake).version, lake.facts(INTO, APP)["inputs"]) == (2, {str(SALES): 3})


def test_rows_outside_every_split_are_kept_apart(spark, lake):
    add(spark, lake, 2, rows(100, 2))
    assert run(spark, lake).rows["outside"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sql": "SELECT nothing FROM sales"}, "features.sql: .*nothing"),
        ({"sql": "SELEKT"}, "features.sql: .*"),
        ({"sql": "SELECT id, day, price FROM sales"}, "does not return shop, sold"),
    ],
)
def test_sql_that_does_not_fit_is_one_line(spark, lake, changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        run(spark, lake, config(**changes))
    assert "\n" not in caught.value.message
    assert not lake.exists(INTO)


def test_a_split_without_labels_is_refused_before_anything_is_written(spark, lake):
    with pytest.raises(TableError, match=r"split 'train' \(day from 2020-01-01 to 2020-02-01\) has no row with a label"):
        run(spark, lake, config(sql="SELECT id, day, price, shop, CAST(NULL AS DOUBLE) AS sold FROM sales"))
    assert not lake.exists(INTO)


def test_a_join_that_multiplies_rows_is_refused(spark, lake):
    twice = "SELECT s.id, s.day, s.price, s.shop, 1D AS sold FROM sales s CROSS JOIN (VALUES (1), (2)) v"
    with pytest.raises(TableError, match=r"key id=\d+ stands 2 times: a join in features.sql multiplies rows"):
        run(spark, lake, config(sql=twice))


def test_a_missing_input_names_the_step_to_run(spark, tmp_path):
    with pytest.raises(TableError, match=r"extracted.sales: no such table: run the step extract first"):
        run(spark, Lake(tmp_path / "empty"))
    with pytest.raises(TableError, match=r"features.sales has no fitted transforms: run the step standardize first"):
        load_fitted(Lake(tmp_path / "empty"), INTO, APP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transforms": [{"kind": "zscore", "columns": ["sold"]}]}, "the label 'sold' is an input of transform 'zscore'"),
        ({"required": ["colour"]}, "required: no transform reads colour"),
        ({"table": "raw.sales"}, "a feature table lies in the layer features"),
        ({"transforms": [{"kind": "zscor", "columns": ["price"]}]}, "zscor"),
        ({"split": {**SECTION["split"], "train": ["2020-01-01", "2020-02-05"]}}, "must follow each other in time"),
    ],
)
def test_a_definition_that_cannot_be_right_is_refused_when_it_is_read(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)
