"""Kafka: what comes, once by (topic, partition, offset), and what happens when records are gone."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings
from etl.ingest import ingest
from etl.sources.topic import TopicSource

Make = Callable[[int], Any]
EVENTS = TableName.parse("raw.events")


def source_of(topic: Any, **options: Any) -> TopicSource:
    return TopicSource(topic.servers, topic.name, **options)


def landed(spark: SparkSession, lake: Lake) -> list[tuple[str, int, bytes | None]]:
    rows = read_table(spark, lake, EVENTS).orderBy("_source", "_offset").collect()
    return [(row._source, row._offset, None if row.value is None else bytes(row.value)) for row in rows]


def test_a_record_keeps_its_bytes_key_headers_and_time_and_a_tombstone_its_null(spark: SparkSession, make_topic: Make):
    topic = make_topic(1)
    key = bytes(range(256))
    topic.send(b"\xff\x00 not text", key=key, headers=[("trace", b"\x01"), ("trace", None)], timestamp=1_357_000_000_123)
    topic.send(None, key=b"gone", timestamp=1_357_000_000_124)
    topic.send(b"", timestamp=1_357_000_000_125)
    source = source_of(topic)
    rows = source.read(spark, source.plan(lambda: spark, None)).orderBy("_offset").collect()
    assert [None if row.value is None else bytes(row.value) for row in rows] == [b"\xff\x00 not text", None, b""]
    assert [row._offset for row in rows] == [0, 1, 2]
    assert {row._source for row in rows} == {f"{topic.name}-0"}
    first, tombstone, plain = (json.loads(bytes(row._header)) for row in rows)
    assert first["timestamp"] == 1_357_000_000_123
    assert base64.b64decode(first["key"]) == key
    assert first["headers"] == [{"key": "trace", "value": "AQ=="}, {"key": "trace"}]
    assert tombstone == {"timestamp": 1_357_000_000_124, "key": base64.b64encode(b"gone").decode()}
    assert plain == {"timestamp": 1_357_000_000_125}


def test_a_partition_that_is_added_is_read_from_its_beginning(spark: SparkSession, tmp_path: Path, make_topic: Make):
    # given
    topic, lake = make_topic(1), Lake(tmp_path / "lake")
    topic.send(b"a", b"b")
    assert ingest(lambda: spark, lake, source_of(topic), EVENTS, app="e").rows == 2
    # when
    topic.grow(2)
    topic.send(b"c", partition=1)
    topic.send(None, key=b"a")
    # then
    assert ingest(lambda: spark, lake, source_of(topic), EVENTS, app="e").rows == 2
    one, two = f"{topic.name}-0", f"{topic.name}-1"
    assert landed(spark, lake) == [(one, 0, b"a"), (one, 1, b"b"), (one, 2, None), (two, 0, b"c")]


def test_nothing_new_needs_no_spark(spark: SparkSession, tmp_path: Path, make_topic: Make):
    topic, lake = make_topic(1), Lake(tmp_path / "lake")
    topic.send(b"a")
    ingest(lambda: spark, lake, source_of(topic), EVENTS, app="e")

    def none() -> SparkSession:
        raise AssertionError("Spark was started")

    assert ingest(none, lake, source_of(topic), EVENTS, app="e").rows == 0


def test_a_batch_delivered_again_is_the_same_batch(spark: SparkSession, make_topic: Make):
    topic = make_topic(2)
    topic.send(*(str(n).encode() for n in range(50)), partition=0)
    topic.send(*(str(n).encode() for n in range(50)), partition=1)  # the same values again are records of their own
    source = source_of(topic)
    plan = source.plan(lambda: spark, None)
    topic.send(b"later")
    first, second = (sorted((r._source, r._offset, bytes(r.value)) for r in source.read(spark, plan).collect()) for _ in range(2))
    assert first == second
    assert len({(place, offset) for place, offset, _ in first}) == len(first) == 100


def test_only_what_was_committed_is_read(spark: SparkSession, make_topic: Make):
    topic = make_topic(1)
    config = {"bootstrap.servers": topic.servers, "transactional.id": topic.name, "log_level": 0}
    producer = Producer(config)
    producer.init_transactions(30)
    for value, end in ((b"kept", producer.commit_transaction), (b"dropped", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic.name, value)
        end(30)
    topic.send(b"last")
    source = source_of(topic)
    plan = source.plan(lambda: spark, None)
    assert [bytes(row.value) for row in source.read(spark, plan).orderBy("_offset").collect()] == [b"kept", b"last"]
    assert source.plan(lambda: spark, plan.position).ranges == ()


def test_records_deleted_before_they_were_read_stop_the_run(spark: SparkSession, make_topic: Make):
    topic = make_topic(1)
    topic.send(b"a", b"b")
    source = source_of(topic)
    position = source.plan(lambda: spark, None).position
    topic.send(b"c", b"d", b"e")
    topic.cut(4)
    with pytest.raises(SourceError, match=rf"topic '{topic.name}' no longer holds the offsets 2 to 3 of partition 0.*skip_lost"):
        source.plan(lambda: spark, position)
    going_on = source_of(topic, skip_lost=True)
    plan = going_on.plan(lambda: spark, position)
    assert [bytes(row.value) for row in going_on.read(spark, plan).collect()] == [b"e"]


def test_records_deleted_after_they_were_planned_stop_the_run(spark: SparkSession, tmp_path: Path, make_topic: Make):
    topic, lake = make_topic(1), Lake(tmp_path / "lake")
    topic.send(b"a", b"b", b"c")
    source = source_of(topic)
    plan = source.plan(lambda: spark, None)
    rows = source.read(spark, plan)
    topic.cut(2)
    with pytest.raises(Exception, match=r"(?s)data may have been lost|out of range|KAFKA_DATA_LOSS"):
        rows.collect()
    assert not lake.exists(EVENTS)


def test_offsets_that_were_reset_stop_the_run(spark: SparkSession, make_topic: Make):
    topic = make_topic(1)
    topic.send(b"a")
    source = source_of(topic)
    position = source.plan(lambda: spark, None).position
    ahead = {**position, "offsets": {"0": 99}}  # as after a broker that lost its last records
    with pytest.raises(SourceError, match=r"ends at offset 1 in partition 0, but was read up to 99: its offsets were reset"):
        source.plan(lambda: spark, ahead)
    plan = source_of(topic, skip_lost=True).plan(lambda: spark, ahead)
    assert [(one.start, one.end) for one in plan.ranges] == [(0, 1)]


def test_a_topic_that_was_made_anew_is_told_apart(spark: SparkSession, make_topic: Make):
    topic = make_topic(1)
    topic.send(b"a")
    source = source_of(topic)
    position = source.plan(lambda: spark, None).position
    topic.delete()
    topic.make(1)
    topic.send(b"x", b"y")  # past the old position: nothing but the topic's id tells
    with pytest.raises(SourceError, match="deleted and made again since it was read up to offset 1 of partition 0"):
        source.plan(lambda: spark, position)
    plan = source_of(topic, skip_lost=True).plan(lambda: spark, position)
    assert [(one.start, one.end) for one in plan.ranges] == [(0, 2)]


def test_a_broker_that_is_down_is_one_line(spark: SparkSession):
    with pytest.raises(
        SourceError,
        match=r"Kafka at 127\.0\.0\.1:1 \(settings kafka\.servers, .*\) cannot be asked about topic 'x': .*see that the broker",
    ) as caught:
        TopicSource("127.0.0.1:1", "x").plan(lambda: spark, None)
    assert "\n" not in caught.value.message


def test_a_topic_that_is_not_there_is_not_made(spark: SparkSession, cluster: Settings, make_topic: Make):
    source = TopicSource(cluster.kafka.servers, f"{cluster.sources.prefix}nowhere")
    for _ in range(2):
        with pytest.raises(SourceError, match="no such topic"):
            source.plan(lambda: spark, None)
