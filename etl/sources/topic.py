"""A topic of Kafka, read in batches between offsets that are fixed when the batch is planned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.contracts import Interval
from core.errors import SourceDown, SourceError
from etl.sources.source import Plan, Position, Range, Session

_WAIT_S = 10.0
_SLICE = 250_000
_COMMITTED = {"kafka.isolation.level": "read_committed"}
_PATIENCE = {"kafkaConsumer.pollTimeoutMs": "30000", "kafka.default.api.timeout.ms": "30000", "kafka.request.timeout.ms": "20000"}


@dataclass(frozen=True, slots=True)
class TopicSource:
    """The committed records of ``topic``, each once by (topic, partition, offset). ``servers`` is ``HOST:PORT,HOST:PORT``.

    A position holds the topic's id and the next offset of each partition; a partition that is new is read from its beginning.
    Records that went before they were read, or a topic that was made anew, stop the run, unless ``skip_lost`` says to go on with
    what is there.
    """

    servers: str
    topic: str
    skip_lost: bool = False

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:  # noqa: ARG002 — records come by offset, and the broker is asked without Spark
        """See Source.plan. Raises SourceError for a broker that does not answer within 10 seconds and for lost records."""
        identity, bounds = self._ask()
        known: dict[str, int] = dict(position["offsets"]) if position else {}
        if position and position["topic_id"] != identity:
            if not self.skip_lost:
                raise self._lost(f"was deleted and made again since it was read up to {_shown(known)}")
            known = {}
        ranges = []
        for partition, (low, high) in sorted(bounds.items()):
            start = self._start(partition, known.get(str(partition), low), low, high)
            known[str(partition)] = high
            if start < high:
                ranges.append(Range(f"{self.topic}-{partition}", start, high))
        gone = sorted(set(known) - {str(partition) for partition in bounds})
        if gone and not self.skip_lost:
            raise self._lost(f"has no partition {', '.join(gone)} any more")
        return Plan(tuple(ranges), {"topic_id": identity, "offsets": known})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read; ``_source`` is ``topic-partition``, and a tombstone's value is null."""
        parts = {one.place.rpartition("-")[2]: one for one in plan.ranges}
        total = sum(one.end - one.start for one in plan.ranges)
        options = {
            "kafka.bootstrap.servers": self.servers,
            "assign": json.dumps({self.topic: [int(partition) for partition in parts]}),
            "startingOffsets": json.dumps({self.topic: {partition: one.start for partition, one in parts.items()}}),
            "endingOffsets": json.dumps({self.topic: {partition: one.end for partition, one in parts.items()}}),
            "minPartitions": str(max(len(parts), -(-total // _SLICE))),
            "includeHeaders": "true",
            "failOnDataLoss": "true",
            **_COMMITTED,
            **_PATIENCE,
        }
        headers = F.transform("headers", lambda one: F.struct(one.key.alias("key"), F.base64(one.value).alias("value")))
        came_with = F.struct(
            F.unix_millis("timestamp").alias("timestamp"), F.base64("key").alias("key"), headers.alias("headers")
        )
        return (
            spark.read.format("kafka")
            .options(**options)
            .load()
            .select(
                F.concat_ws("-", "topic", "partition").alias("_source"),
                F.col("offset").alias("_offset"),
                F.to_json(came_with).cast("binary").alias("_header"),
                F.col("value"),
            )
        )

    def _ask(self) -> tuple[str, dict[int, tuple[int, int]]]:
        """The topic's id, and by partition the first offset that is there and the one after the last."""
        client = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        with self._failures():
            found = _one(client.describe_topics(TopicCollection([self.topic]), request_timeout=_WAIT_S))
            parts = [TopicPartition(self.topic, one.id) for one in found.partitions]
            low, high = (
                client.list_offsets(
                    dict.fromkeys(parts, edge), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_WAIT_S
                )
                for edge in (OffsetSpec.earliest(), OffsetSpec.latest())
            )
            bounds = {one.partition: (low[one].result().offset, high[one].result().offset) for one in parts}
        return str(found.topic_id), bounds

    def _start(self, partition: int, known: int, low: int, high: int) -> int:
        if low <= known <= high:
            return known
        if self.skip_lost:
            return low
        if known < low:
            raise self._lost(
                f"no longer holds the offsets {known} to {low - 1} of partition {partition}, which were not read yet"
            )
        raise self._lost(f"ends at offset {high} in partition {partition}, but was read up to {known}: its offsets were reset")

    def _lost(self, what: str) -> SourceError:
        return SourceError(
            f"Kafka topic {self.topic!r} {what}: put the records back, or read the topic into another table by a source of "
            "another name, or set the source's key 'skip_lost: true' to go on without them",
            topic=self.topic,
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise SourceError(
                    f"Kafka at {self.servers}: no such topic: {self.topic!r}: check the source's 'topic'"
                ) from error
            raise SourceDown(
                f"Kafka at {self.servers} (settings kafka.servers, or the source's own) cannot be asked about topic "
                f"{self.topic!r}: {reason.str()}: see that the broker runs, then run again"
            ) from error


def _one(futures: dict[Any, Future[Any]]) -> Any:
    (future,) = futures.values()
    return future.result()


def _shown(offsets: dict[str, int]) -> str:
    return ", ".join(f"offset {offset} of partition {partition}" for partition, offset in sorted(offsets.items()))
