import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.sources.source import Plan
from tests.etl.sources.lines import plan_after, read_plan

Found = list[tuple[str, int, bytes | None, bytes]]


def read(spark: SparkSession, source: FileSource, plan: Plan) -> Found:
    rows = source.read(spark, plan).collect()
    return [(r._source, r._offset, None if r._header is None else bytes(r._header), bytes(r.value)) for r in rows]


def next_records(spark: SparkSession, source: FileSource, plan: Plan | None) -> tuple[Plan, Found]:
    """Plan after ``plan``, with its position having gone through JSON, and read."""
    new = source.plan(lambda: spark, json.loads(json.dumps(plan.position)) if plan else None)
    return new, read(spark, source, new) if new.ranges else []


def test_a_log_waits_for_the_end_of_its_last_line(spark: SparkSession, folder: Path):
    file, source = folder / "ops.log", FileSource(folder, "*.log", Format.LOG)
    file.write_bytes(b"one\ntwo\nthr")
    plan, first = next_records(spark, source, None)
    assert [(offset, value) for _, offset, _, value in first] == [(0, b"one"), (4, b"two")]
    with file.open("ab") as end:
        end.write(b"ee\r\n\xff\x00\n")
    plan, second = next_records(spark, source, plan)
    assert [(offset, value) for _, offset, _, value in second] == [(8, b"three"), (15, b"\xff\x00")]
    assert next_records(spark, source, plan)[0].ranges == ()


def test_json_lines_take_the_last_line_without_its_end(spark: SparkSession, folder: Path):
    file, source = folder / "a.jsonl", FileSource(folder, "*.jsonl", Format.JSONL)
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2}')
    plan, first = next_records(spark, source, None)
    assert first == [("a.jsonl", 3, None, b'{"a": 1}'), ("a.jsonl", 13, None, b'{"a": 2}')]
    # when its end comes, and more
    for more, expected in ((b"\r\n", []), (b'{"a": 3}\n', [("a.jsonl", 23, None, b'{"a": 3}')])):
        with file.open("ab") as end:
            end.write(more)
        plan, found = next_records(spark, source, plan)
        assert found == expected


def test_a_line_that_grows_after_it_was_taken_is_an_error(spark: SparkSession, folder: Path):
    file, source = folder / "a.jsonl", FileSource(folder, "*", Format.JSONL)
    file.write_bytes(b'{"a": 1')
    plan = source.plan(lambda: spark, None)
    file.write_bytes(b'{"a": 1}\n')
    with pytest.raises(SourceError, match=r"a\.jsonl: its last line, read up to byte 7, has grown"):
        source.plan(lambda: spark, plan.position)


def test_text_is_lines_as_they_are(folder: Path):
    (folder / "a.txt").write_bytes(b"one\r\n\n two")
    source = FileSource(folder, "*", Format.TEXT)
    plan = plan_after(source, None)
    assert read_plan(source, plan) == [("a.txt", 0, None, b"one"), ("a.txt", 5, None, b""), ("a.txt", 6, None, b" two")]
    with (folder / "a.txt").open("ab") as end:
        end.write(b"\n\nthree")
    assert read_plan(source, plan_after(source, plan.position)) == [("a.txt", 11, None, b""), ("a.txt", 12, None, b"three")]


def test_csv_keeps_its_header_beside_each_record(spark: SparkSession, folder: Path):
    file, source = folder / "a.csv", FileSource(folder, "*.csv", Format.CSV)
    header = b'id,"na\nme"'
    file.write_bytes(b"\xef\xbb\xbf" + header + b'\r\n1,"a\nb"\r\n2,c')
    plan, first = next_records(spark, source, None)
    assert first == [("a.csv", 15, header, b'1,"a\nb"'), ("a.csv", 24, header, b"2,c")]
    with file.open("ab") as end:
        end.write(b"\r\n3,d\r\n")
    assert next_records(spark, source, plan)[1] == [("a.csv", 29, header, b"3,d")]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"id,name", b"id,name\n"])
def test_csv_without_records_is_nothing_new(spark: SparkSession, folder: Path, content: bytes):
    (folder / "a.csv").write_bytes(content)
    source = FileSource(folder, "*.csv", Format.CSV)
    plan = source.plan(lambda: spark, None)
    assert plan.ranges == ()
    (folder / "a.csv").write_bytes(b"id,name\n1,x\n")
    assert [value for *_, value in next_records(spark, source, None)[1]] == [b"1,x"]


def test_new_files_are_found_in_folders_and_names_of_any_kind(spark: SparkSession, folder: Path):
    source = FileSource(folder, "**/*.log", Format.LOG)
    (folder / "b.log").write_bytes(b"b\n")
    plan, _ = next_records(spark, source, None)
    (folder / "x" / "y").mkdir(parents=True)
    (folder / "x" / "y" / "é 100%#?\n.log").write_bytes(b"new\n")
    _, found = next_records(spark, source, plan)
    assert found == [("x/y/é 100%#?\n.log", 0, None, b"new")]


def test_a_file_that_went_away_is_not_missed_but_one_that_comes_back_goes_on(spark: SparkSession, folder: Path):
    file, source = folder / "a.log", FileSource(folder, "*.log", Format.LOG)
    file.write_bytes(b"one\n")
    plan, _ = next_records(spark, source, None)
    file.rename(folder / "aside")
    again, found = next_records(spark, source, plan)
    assert found == []
    (folder / "aside").rename(file)
    with file.open("ab") as end:
        end.write(b"two\n")
    assert [value for *_, value in next_records(spark, source, again)[1]] == [b"two"]


@pytest.mark.parametrize(
    ("after", "message"),
    [(b'{"a"', "has 4 bytes but was read up to byte 18"), (b'{"b": 1}\n{"b": 2}\n', "its first 18 bytes are others")],
)
def test_a_file_that_was_cut_or_replaced_is_an_error(folder: Path, after: bytes, message: str):
    file, source = folder / "a.jsonl", FileSource(folder, "*", Format.JSONL)
    file.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    plan = plan_after(source, None)
    file.write_bytes(after)
    with pytest.raises(SourceError, match=rf"a\.jsonl: {message}.*put the old file back"):
        plan_after(source, plan.position)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: os.truncate(file, 5)])
def test_a_file_that_changes_between_plan_and_read_is_named(spark: SparkSession, folder: Path, damage: Callable[[Path], None]):
    source = FileSource(folder, "*.log", Format.LOG)
    (folder / "a.log").write_bytes(b"one\ntwo\n")
    plan = source.plan(lambda: spark, None)
    damage(folder / "a.log")
    with pytest.raises(Exception, match=r"core\.errors\.SourceError: .*a\.log .* while it was read"):
        source.read(spark, plan).collect()


def test_a_missing_folder_and_a_pattern_without_files_are_errors(spark: SparkSession, folder: Path):
    with pytest.raises(SourceError, match="none: no such folder"):
        FileSource(folder / "none", "*", Format.LOG).plan(lambda: spark, None)
    with pytest.raises(SourceError, match=r"no file matches '\*\.log'"):
        FileSource(folder, "*.log", Format.LOG).plan(lambda: spark, None)


def test_a_fifo_is_an_error_and_no_hang(spark: SparkSession, folder: Path):
    os.mkfifo(folder / "a.log")
    with pytest.raises(SourceError, match=r"'a\.log' is no regular file"):
        FileSource(folder, "*.log", Format.LOG).plan(lambda: spark, None)


@pytest.mark.parametrize("form", [Format.JSONL, Format.CSV, Format.LOG])
def test_large_files_are_cut_between_records_and_nothing_is_lost(spark: SparkSession, folder: Path, form: Format):
    # given 34 MB in which every kind of line lies somewhere near a cut
    chance = random.Random(5)
    lines = [bytes(chance.choices(b"abcdef ", k=chance.randint(0, 300))) for _ in range(2000)]
    if form is Format.CSV:
        lines = [b'"' + line + b'\n""x""",y' if i % 3 else b"z," + line for i, line in enumerate(lines)]
    block = b"\n".join(line for line in lines if line) + b"\n"
    times = 34_000_000 // len(block)
    data = (b"" if form is not Format.CSV else b"a,b\n") + block * times
    (folder / "big").write_bytes(data)
    # when
    source = FileSource(folder, "big", form)
    plan = source.plan(lambda: spark, None)
    found = (
        source.read(spark, plan).selectExpr("count(*) n", "sum(length(value) + 1) size", "count(distinct _offset) k").collect()[0]
    )
    # then
    assert len(plan.ranges) == 3
    assert all(data[one.start - 1 : one.start] == b"\n" for one in plan.ranges[1:])
    expected = times * sum(1 for line in lines if line)
    assert (found.n, found.k, found.size) == (expected, expected, len(block) * times)


def test_a_record_without_end_is_refused_before_it_fills_the_memory(spark: SparkSession, folder: Path):
    with (folder / "a.jsonl").open("wb") as file:
        file.truncate(300 << 20)  # a sparse file of NUL bytes
    with pytest.raises(SourceError, match=r"the record at byte 0 is longer than"):
        FileSource(folder, "*", Format.JSONL).plan(lambda: spark, None)
