"""MongoDB: each document once, also among equal watermarks, as JSON that keeps every type."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import ConfigError, SourceDown, SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings
from etl.ingest import ingest
from etl.sources.collection import CollectionSource
from etl.sources.config import open_source
from etl.sources.documents import Server, read_ranges
from etl.sources.mongo_config import MongoConfig
from etl.sources.source import Plan, Position
from tests.etl.sources.test_mysql import Door

RAW = TableName.parse("raw.t")


@pytest.fixture
def source(cluster: Settings) -> CollectionSource:
    opened = open_source(MongoConfig(kind="mongo", url="mongodb:///sources", collection="t"), cluster)
    assert isinstance(opened, CollectionSource)
    return opened


@pytest.fixture
def documents(source: CollectionSource) -> Iterator[Collection[dict[str, Any]]]:
    with source.server.documents() as there:
        yield there
        there.drop()


def no_spark() -> SparkSession:
    raise AssertionError("Spark was started")


def plan_of(source: CollectionSource, position: Position | None = None) -> Plan:
    return source.plan(no_spark, position)


def records(source: CollectionSource, plan: Plan) -> list[tuple[int, str]]:
    """What executors read, without them."""
    indices = pa.RecordBatch.from_arrays([pa.array(range(len(plan.ranges)))], names=["id"])
    batches = read_ranges(source.server, source.watermark, source.fields, plan.ranges, iter([indices]))
    return sorted((row["_offset"], row["value"].decode()) for batch in batches for row in batch.to_pylist())


def test_a_document_is_json_that_keeps_every_type(source: CollectionSource, documents: Collection[dict[str, Any]]):
    documents.insert_one({
        "_id": ObjectId("0" * 24), "é": 'q"😀\n', "i": 5, "long": Int64(2**53 + 1), "f": 1.0, "nan": float("nan"), "yes": True,
        "d": Decimal128("1.10"), "b": Binary(b"\xff"), "at": datetime(2013, 1, 1, 5, 0, 0, 250_000, tzinfo=UTC),
        "far": DatetimeMS(2**60), "a": [{"x": None}],
    })  # fmt: skip
    assert records(source, plan_of(source)) == [(0, (
        '{"_id":{"$oid":"000000000000000000000000"},"é":"q\\"😀\\n","i":5,"long":9007199254740993,"f":1.0,'
        '"nan":{"$numberDouble":"NaN"},"yes":true,"d":{"$numberDecimal":"1.10"},"b":{"$binary":{"base64":"/w==","subType":"00"}},'
        '"at":{"$date":"2013-01-01T05:00:00.250Z"},"far":{"$date":{"$numberLong":"1152921504606846976"}},"a":[{"x":null}]}'
    ))]  # fmt: skip


def test_equal_watermarks_are_read_once_each_whenever_they_come(
    source: CollectionSource, documents: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("etl.sources.collection._SLICE", 4)
    by_day = replace(source, watermark="day", fields=("n",))
    first, second, third = (datetime(2013, 1, n, tzinfo=UTC) for n in (1, 2, 3))
    documents.insert_many([{"_id": 100 + n, "n": n, "day": first if n < 9 else second} for n in range(12)])
    position, found = None, []
    for more in ([], [{"_id": 5, "n": 12, "day": second}], [{"_id": 6, "n": 13, "day": second}, {"n": 14, "day": third}], []):
        if more:
            documents.insert_many(more)
        plan = plan_of(by_day, position)
        assert plan_of(by_day, position) == plan
        found.append(records(by_day, plan))
        position = plan.position
    assert [len(one) for one in found] == [12, 1, 2, 0]
    assert [offset for one in found for offset, _ in one] == list(range(15))
    assert sorted(value for one in found for _, value in one) == sorted(f'{{"n":{n}}}' for n in range(15))


def test_a_filter_and_a_lag_leave_documents_out(
    source: CollectionSource, documents: Collection[dict[str, Any]], cluster: Settings
):
    old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(hours=2))
    day = datetime(2013, 1, 1, tzinfo=UTC)
    documents.insert_many([{"_id": old, "at": day, "x": 1}, {"at": day, "x": 2}, {"at": day - timedelta(days=1), "x": 3}])
    chosen = {"at": {"$gte": {"$date": "2013-01-01T00:00:00Z"}}}
    config = MongoConfig(kind="mongo", url="mongodb:///sources", collection="t", filter=chosen, fields=("x",), lag_s=3600)
    late = open_source(config, cluster)
    assert isinstance(late, CollectionSource)
    plan = plan_of(late)
    assert records(late, plan) == [(0, '{"x":1}')]
    now = replace(late, lag_s=0)
    assert records(now, plan_of(now, plan.position)) == [(1, '{"x":2}')]
    with pytest.raises(ConfigError, match="'lag_s' is for a watermark of dates or ObjectIds, and 'x' is none"):
        plan_of(replace(late, watermark="x"))


@pytest.mark.parametrize(("value", "what"), [(None, "is missing in some"), ("x", "is int and str"), (True, "is int and bool")])
def test_a_field_that_cannot_be_a_watermark_is_refused(
    source: CollectionSource, documents: Collection[dict[str, Any]], value: object, what: str
):
    documents.insert_many([{"n": 1}, {"n": value}])
    with pytest.raises(SourceError, match=f"the watermark 'n' {what}: name a field that every document has"):
        plan_of(replace(source, watermark="n"))


def test_documents_that_change_after_they_were_planned_stop_the_run(
    source: CollectionSource, documents: Collection[dict[str, Any]]
):
    documents.insert_many([{"n": n} for n in range(5)])
    plan = plan_of(source)
    documents.delete_one({"n": 2})
    with pytest.raises(SourceError, match="3 documents are where 4 were when the run began"):
        records(source, plan)


def test_a_server_that_dies_while_it_is_read_and_comes_back_is_read_to_its_end(
    spark: SparkSession, tmp_path: Path, source: CollectionSource, documents: Collection[dict[str, Any]]
):
    documents.insert_many([{"text": "x" * 200} for _ in range(5_000)])
    url = urlsplit(source.server.url)
    door = Door((str(url.hostname), url.port or 0), 600_000)
    back = threading.Thread(target=door.open_again, args=(1,))
    back.start()
    through = replace(source, server=Server(f"mongodb://127.0.0.1:{door.port}{url.path}", "t"))
    assert ingest(lambda: spark, Lake(tmp_path / "lake"), through, RAW, app="t").rows == 5_000
    back.join()
    door.listener.close()
    rows = (
        read_table(spark, Lake(tmp_path / "lake"), RAW).selectExpr("count(distinct _offset) n", "count(distinct value) v").first()
    )
    assert rows is not None and (rows.n, rows.v) == (5_000, 5_000)


def test_a_server_that_is_down_is_one_line():
    with pytest.raises(
        SourceDown, match=r"collection 't' \(MongoDB at 127\.0\.0\.1:1\) cannot be read: .*refused: see"
    ) as caught:
        plan_of(CollectionSource(Server("mongodb://127.0.0.1:1/x", "t")))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": "mongodb://ann:secret@h/x"}, "a URL holds no password"),
        ({"url": "mongodb://h"}, "write mongodb://USER@HOST:PORT/NAME"),
        ({"filter": {"$where": "true"}}, "'\\$where' runs code on the server"),
        ({"filter": {"$or": [{"a": {"$function": {}}}]}}, "'\\$function' runs code on the server"),
        ({"filter": {"a": {"$oid": "zz"}}}, "is no filter: 'zz' is not a valid ObjectId"),
        ({"lag_s": -1}, "greater than or equal to 0"),
    ],
)
def test_a_collection_that_makes_no_sense_is_refused(given: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        MongoConfig(**{"kind": "mongo", "url": "mongodb://h/x", "collection": "t", **given})
