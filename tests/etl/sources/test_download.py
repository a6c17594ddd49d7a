import json
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import DiskFull, SourceDown, SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings
from etl.downloads.fetch import Patience
from etl.ingest import ingest
from etl.sources.config import DownloadConfig, open_source
from etl.sources.download import DownloadSource
from etl.sources.source import Plan, Source
from tests.etl.sources.lines import read_plan
from tests.web import Served, Web, serve, status

FILES = TableName.parse("raw.files")

Build = Callable[..., Source]


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running


@pytest.fixture
def build(web: Web, tmp_path: Path) -> Build:
    def make(form: str = "jsonl", **more: Any) -> Source:
        base = {"kind": "download", "url": f"{web.url}/f", "folder": "files", "format": form, "allow": ["127.0.0.1"]}
        return open_source(DownloadConfig.model_validate({**base, **more}), Settings(root=tmp_path, home=tmp_path))

    return make


def no_spark() -> SparkSession:
    raise AssertionError("Spark was started")


def planned(source: Source, plan: Plan | None) -> Plan:
    """What is new after ``plan``, with its position having gone through JSON."""
    return source.plan(no_spark, json.loads(json.dumps(plan.position)) if plan else None)


def sizes(plan: Plan) -> list[tuple[str, int, int]]:
    return [(one.place[:6], one.start, one.end) for one in plan.ranges]


def test_each_version_is_planned_once_and_an_unchanged_one_adds_nothing(web: Web, build: Build):
    web.pages["/f"] = Served(b'{"a": 1}\n', '"1"')
    first = planned(build(), None)
    assert sizes(first) == [("000001", 0, 9)]
    assert planned(build(), first).ranges == ()
    web.pages["/f"] = Served(b'{"a": 1}\n{"a": 2}\n', '"2"')
    second = planned(build(), first)
    assert sizes(second) == [("000002", 0, 18)]
    assert planned(build(), second).ranges == ()
    assert sizes(planned(build(), None)) == [("000001", 0, 9), ("000002", 0, 18)]


def test_the_last_line_needs_no_end_because_a_version_does_not_grow(web: Web, build: Build):
    web.pages["/f"] = Served(b"one\ntwo")
    for form in ("log", "jsonl"):
        source = build(form, folder=form)
        plan = planned(source, None)
        assert sizes(plan) == [("000001", 0, 7)]
        assert planned(source, plan).ranges == ()


def test_csv_has_its_header_beside_it(web: Web, build: Build):
    web.pages["/f"] = Served(b"id,name\n1,x\n")
    (one,) = planned(build("csv"), None).ranges
    assert (one.header, one.start, one.end) == (b"id,name", 8, 12)


def test_rows_of_parquet_are_read_whole(web: Web, build: Build, tmp_path: Path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "f")
    web.pages["/f"] = Served((tmp_path / "f").read_bytes())
    source = build("parquet")
    assert isinstance(source, DownloadSource)
    plan = planned(source, None)
    assert [(offset, value) for _, offset, _, value in read_plan(source.files, plan)] == [(0, b'{"a": "1"}'), (1, b'{"a": "2"}')]
    assert planned(source, plan).ranges == ()


def test_what_was_not_read_yet_is_read_though_the_file_is_as_it_was(web: Web, build: Build):
    web.pages["/f"] = Served(b'{"a": 1}\n')
    planned(build(), None)  # and the process ended before it was committed
    assert sizes(planned(build(), None)) == [("000001", 0, 9)]


def test_failures_are_errors_of_the_source(web: Web, build: Build, tmp_path: Path):
    with pytest.raises(SourceError, match=r"/f: there is no such file \(HTTP status 404\)"):
        planned(build(), None)
    with pytest.raises(SourceError, match="loopback"):
        planned(build(allow=[]), None)
    web.pages["/f"] = status(200, b"x")
    (tmp_path / "files").write_bytes(b"a file where the folder belongs")
    with pytest.raises(SourceError, match=rf"source {web.url}/f: .*files"):
        planned(build(), None)


def test_a_disk_that_is_full_is_told_as_such(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(b"x" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskFull, match=r"disk full at .*downloads.*run again"):
            planned(build(), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "files").exists()
    assert sizes(planned(build(), None)) == [("000001", 0, 100_000)]
    assert [headers.get("range") for _, headers in web.asked] == [None, "bytes=50000-"]


def test_versions_land_once_whole(spark: SparkSession, tmp_path: Path, web: Web, build: Build):
    lake = Lake(tmp_path / "lake")
    for number, content in enumerate((b"one\n\ntwo", b"one\n\ntwo\nthree\n", b"one\n\ntwo\nthree\n")):
        web.pages["/f"] = Served(content, f'"{number}"')
        ingest(lambda: spark, lake, build("log"), FILES, app="e")
    found = read_table(spark, lake, FILES).orderBy("_batch", "_offset").collect()
    assert [(row._batch, row._offset, bytes(row.value)) for row in found] == [
        *((1, 0, b"one"), (1, 4, b""), (1, 5, b"two")),
        *((2, 0, b"one"), (2, 4, b""), (2, 5, b"two"), (2, 9, b"three")),
    ]


def test_a_server_that_goes_away_leaves_the_table_as_it_was(spark: SparkSession, tmp_path: Path, web: Web, build: Build):
    lake = Lake(tmp_path / "lake")
    web.pages["/f"] = Served(b"one\n", '"1"')
    ingest(lambda: spark, lake, build("log"), FILES, app="e")
    web.pages["/f"] = Served(b"two\n" * 1000, '"2"', cuts=[40] * 50, ranges=False)
    hasty: Any = build("log")
    hasty = replace(hasty, download=replace(hasty.download, patience=Patience(tries=2, first_s=0.01)))
    with pytest.raises(SourceDown, match="tried 2 times"):
        ingest(lambda: spark, lake, hasty, FILES, app="e", patience_s=0)
    assert lake.info(FILES).rows == 1
    web.pages["/f"] = Served(b"two\n", '"3"')
    assert ingest(lambda: spark, lake, build("log"), FILES, app="e").rows == 1
