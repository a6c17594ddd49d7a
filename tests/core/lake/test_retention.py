from datetime import UTC, datetime, timedelta

import pytest

from core.errors import TableError
from core.lake.files import File
from core.lake.retention import oldest_kept, removable

CUTOFF = datetime(2026, 1, 10, tzinfo=UTC)
OLD, YOUNG = CUTOFF.timestamp() - 1, CUTOFF.timestamp()


def days(number: int) -> datetime:
    return CUTOFF + timedelta(days=number)


@pytest.mark.parametrize(
    ("commits", "first"),
    [
        ([(2, days(2)), (1, days(1)), (0, days(-1))], 0),  # version 0 was the newest at the cutoff
        ([(2, days(2)), (1, days(-1)), (0, days(-2))], 1),
        ([(2, days(-1)), (1, days(-2)), (0, days(-3))], 2),
        ([(2, days(2)), (1, days(1)), (0, days(1))], 0),  # all are younger
        ([(2, None), (1, days(-1)), (0, days(-2))], 1),  # a time that is not known counts as young
        ([(1, CUTOFF), (0, days(-1))], 1),
    ],
)
def test_the_version_that_was_current_at_the_cutoff_and_all_later_ones_are_kept(commits, first):
    assert oldest_kept(commits, CUTOFF) == first


def test_old_data_files_that_nobody_names_go_with_their_checksums_and_nothing_else():
    gone = ["part-0.parquet", ".part-0.parquet.crc", "split=a b/part-1.parquet", "_kind=x/part-2.parquet"]
    stay = [
        "live.parquet",
        ".live.parquet.crc",
        "split=a b/live.parquet",
        "_delta_log/00000000000000000000.json",
        "_delta_log/00000000000000000010.checkpoint.parquet",
        "_change_data/part-3.parquet",
        ".hidden/part-4.parquet",
        ".part-5.parquet",
        "deletion_vector_1.bin",
        "notes.txt",
    ]
    found = [File(path, 1, OLD) for path in [*gone, *stay]] + [File("young.parquet", 1, YOUNG)]
    taken = removable(found, {"live.parquet", "split=a b/live.parquet"}, CUTOFF)
    assert sorted(file.path for file in taken) == sorted(gone)


@pytest.mark.parametrize("path", ["file:///lake/other/part-0.parquet", "/lake/other/part-0.parquet"])
def test_a_log_that_names_files_elsewhere_is_refused(path):
    with pytest.raises(TableError, match="not vacuumed: was it cloned"):
        removable([File("part-0.parquet", 1, OLD)], {path}, CUTOFF)
