"""Drift between files that lie as a Delta table's do; the log is not asked."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.contracts import Column, Dtype
from core.errors import CorruptFile, TableError
from core.lake.catalog import Lake, Snapshot
from monitoring import drift as module
from monitoring.drift import Rows, compare, last_days

COLUMNS = [
    Column("speed", Dtype.DOUBLE),
    Column("hour", Dtype.LONG),
    Column("origin", Dtype.STRING),
    Column("still", Dtype.DOUBLE),
]


def table(count: int, seed: int, *, mean: float = 0, gone: float = 0.1, origins: str = "ab") -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "speed": pa.array(random.normal(mean, 1, count), mask=random.random(count) < gone),
            "hour": random.integers(0, 24, count),
            "origin": pa.array(random.choice(list(origins), count), mask=random.random(count) < 0.1),
            "still": np.full(count, 3.0),
            "day": [date(2026, 1, 1) + timedelta(days=int(n * 30 / count)) for n in range(count)],
            "at": [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=int(n * 30 / count), hours=23) for n in range(count)],
        }
    )


@pytest.fixture
def rows(tmp_path: Path):
    def lay(name: str, *parts: pa.Table) -> Rows:
        files = []
        for number, part in enumerate(parts):
            file = tmp_path / f"{name}-{number}.parquet"
            pq.write_table(part, file, row_group_size=700)
            files.append(str(file))
        return Rows(name, Lake(tmp_path), Snapshot(0, tuple(files), sum(map(len, parts))))

    return lay


def indices(reference: Rows, current: Rows) -> dict[str, float]:
    return {column.name: column.psi for column in compare(reference, current, COLUMNS).columns}


def test_the_same_distribution_is_not_drift_and_a_shifted_one_is(rows):
    reference = rows("then", table(3000, 1), table(2500, 2))
    same = compare(reference, rows("now", table(4000, 3)), COLUMNS)
    assert (same.reference_rows, same.current_rows) == (5500, 4000)
    assert same.drifted(0.05) == []
    moved = compare(reference, rows("moved", table(4000, 3, mean=1)), COLUMNS)
    assert moved.drifted(0.2) == ["speed"]
    assert moved.columns[0].psi > 0.5
    # (1, 1 shifted by a standard deviation: the index of two normals in continuous form is 1)
    assert 0.7 < moved.columns[0].psi < 1.1


def test_values_that_go_missing_and_categories_that_are_new_are_drift(rows):
    reference = rows("then", table(5000, 1))
    gone = compare(reference, rows("gone", table(5000, 2, gone=0.6)), COLUMNS)
    assert gone.drifted(0.2) == ["speed"]
    assert gone.columns[0].missing_reference == pytest.approx(0.1, abs=0.02)
    assert gone.columns[0].missing_current == pytest.approx(0.6, abs=0.02)
    assert compare(reference, rows("new", table(5000, 2, origins="abc")), COLUMNS).drifted(0.2) == ["origin"]


def test_the_same_files_give_the_same_figures_however_many_rows_are_sampled(rows, monkeypatch):
    reference, current = rows("then", table(3000, 1), table(1999, 2)), rows("now", table(4000, 3, mean=0.3))
    exact = indices(reference, current)
    assert indices(reference, current) == exact
    monkeypatch.setattr(module, "_SAMPLE", 700)
    sampled = indices(reference, current)
    assert indices(reference, current) == sampled
    assert sampled["speed"] == pytest.approx(exact["speed"], rel=0.3)


@pytest.mark.parametrize("column", ["day", "at"])
def test_the_last_days_count_back_from_the_newest_row(rows, column):
    current = rows("now", table(3000, 3), table(3000, 4))
    period = last_days(current, column, 10)
    assert period.first == date(2026, 1, 21)
    found = compare(rows("then", table(3000, 1)), Rows("now", current.lake, current.snapshot, period), COLUMNS)
    assert found.current_rows == 2000


def test_too_few_rows_are_said_not_judged(rows):
    enough, few = rows("then", table(500, 1)), rows("few", table(499, 2))
    with pytest.raises(TableError, match="few has 499 rows: at least 500 are needed"):
        compare(enough, few, COLUMNS)
    with pytest.raises(TableError, match="few has 499 rows"):
        compare(few, enough, COLUMNS)
    with pytest.raises(TableError, match="none has 0 rows"):
        compare(rows("none"), enough, COLUMNS)
    period = last_days(enough, "day", 3)
    with pytest.raises(TableError, match=r"then has 50 rows since 2026-01-28: .* take more --days"):
        compare(enough, Rows("then", enough.lake, enough.snapshot, period), COLUMNS)


def test_a_column_that_is_not_there_a_period_of_no_time_and_a_damaged_file_are_named(rows, tmp_path):
    reference = rows("then", table(600, 1))
    with pytest.raises(TableError, match="now has no column origin: standardize"):
        compare(reference, rows("now", table(600, 1).drop_columns(["origin"])), COLUMNS)
    with pytest.raises(TableError, match="column 'speed' is double, and a period needs a date"):
        last_days(reference, "speed", 3)
    empty = table(600, 1).set_column(4, "day", pa.nulls(600, pa.date32()))
    with pytest.raises(TableError, match="no row has a day"):
        last_days(rows("empty", empty), "day", 3)
    (tmp_path / "then-0.parquet").write_bytes(b"PAR1 no footer")
    with pytest.raises(CorruptFile, match=r"then-0\.parquet is not a readable Parquet file"):
        compare(reference, reference, COLUMNS)
