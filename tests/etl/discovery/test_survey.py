"""One pass over any number of records: bounded, the same in Spark as in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts import TableName
from core.errors import SourceError
from core.lake.catalog import Lake
from core.lake.tables import append
from core.settings import load_settings
from etl.discovery.distributed import sketch_file, sketch_table
from etl.discovery.records import header_of, lines_between, of_file, of_table
from etl.discovery.rules import propose_from
from etl.discovery.survey import Survey
from etl.discovery.templates.examples import Examples
from jobs.discover import discover

ROOT = Path(__file__).parents[3]
RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
TEXTS = st.lists(
    st.sampled_from(["job 1 done", "job 22 done", "user anna in", "user bob in", "disk full", ""]) | st.text(max_size=9)
)


def surveyed(records: list[tuple[int, str]], bound: int = 1000) -> Survey:
    survey = Survey(bound, bound)
    survey.add(records)
    return survey


@given(lines=TEXTS, cut=st.integers(0, 30), bound=st.sampled_from([1, 2, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_parts_that_travelled_and_were_merged_are_one_pass(lines, cut, bound):
    records = list(enumerate(lines))

    merged = surveyed([], bound)
    for part in (records[cut:], records[:cut]):
        merged.merge(Survey.from_bytes(surveyed(part, bound).to_bytes()))

    whole = surveyed(records, bound)
    assert (merged.records, merged.examples()) == (whole.records, whole.examples())
    assert merged.held_out.texts() == whole.held_out.texts()
    assert propose_from(merged) == propose_from(whole)


def test_examples_are_few_and_of_each_signature():
    examples = Examples(100, 100)
    for i in range(10_000):
        examples.add("common", f"job {i}")
        assert sum(map(len, examples._held.values())) <= 200
    examples.add("rare", "the end")

    lines = examples.lines()
    assert lines["rare"] == ["the end"]
    assert 90 <= len(lines["common"]) <= 100


@given(lines=st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), max_size=12), parts=st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_each_line_of_a_file_is_in_one_part(tmp_path_factory, lines, parts):
    file = tmp_path_factory.getbasetemp() / "parts.log"
    file.write_bytes(b"\n".join(lines))
    size = file.stat().st_size

    read = [line for i in range(parts) for line in lines_between(file, size * i // parts, size * (i + 1) // parts)]

    assert read == list(lines_between(file, 0, None))
    assert b"".join(line for _, line in read) == file.read_bytes()


def test_spark_finds_what_one_pass_finds(spark, tmp_path):
    lines = [line for i in range(300) for line in (f"10:00:0{i % 9} job {i} done in {i}.5 s", f"user u{i} in\r", "idle", "")]
    file = tmp_path / "a.log"
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    settings = load_settings(ROOT, "local", {"MAAS__HOME": str(tmp_path)})
    lake, table = Lake.of(settings), TableName.parse("raw.jobs")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ("file", i, 1, at, b"\xef\xbb\xbfid,name\r\n", value) for i, value in enumerate([*map(str.encode, lines), b"\xff", None])
    ]
    append(lake, spark.createDataFrame(rows, RAW).repartition(5), table, app="test", number=1, facts={})

    of_lines, of_rows = sketch_file(spark, file, Survey), sketch_table(spark, lake, table, Survey)

    assert propose_from(of_lines) == propose_from(surveyed(of_file(file, 10_000), 16_384))
    assert propose_from(of_rows) == propose_from(surveyed(of_table(lake, table, 10_000), 16_384))
    assert {one.rule["name"] for one in propose_from(of_rows).candidates} == {"job_done_in_s", "user_in", "idle"}
    assert header_of(lake, table) == "\ufeffid,name"
    drafted = discover(settings, "raw.jobs", table=None, records=10_000, references=["raw.jobs"])
    assert drafted.count("- name:") == 3
    with pytest.raises(SourceError, match="No such file"):
        sketch_file(spark, Path("/nowhere.log"), Survey)


def test_one_record_is_enough():
    for offset in range(8):
        (candidate,) = propose_from(surveyed([(offset, "job 1 done")])).candidates
        assert (candidate.rule["name"], candidate.coverage) == ("job_done", 1.0)
