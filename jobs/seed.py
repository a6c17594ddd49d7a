"""The airline's sources on servers: what a profile's pipeline reads from MySQL, Kafka or HDFS is filled from the local files.

Everything may be run again: what is there already stays as it is, and what is missing is added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from core.errors import ConfigError, SourceError, StorageError
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.storage import Entry, Storage
from etl.sources.config import open_source
from etl.sources.database import DatabaseSource
from etl.sources.file_config import FilesConfig, LogConfig
from etl.sources.files import FileSource
from etl.sources.topic import TopicSource
from jobs.pipeline import load_pipeline

_TYPES = {"INTEGER": "INT", "TEXT": "VARCHAR(20)", "DATETIME": "DATETIME"}
_ROWS = 5_000
_PIECE = 1 << 20
_WAIT_S = 30.0


def fill(settings: Settings, folder: Path) -> list[str]:
    """Put what ``lay_out`` wrote to ``folder`` where this profile's pipeline ``flights`` reads it; one line for each place."""
    lines = []
    for config in load_pipeline(settings, "flights").pipeline.sources.values():
        source = open_source(config, settings)
        if isinstance(source, DatabaseSource) and source.url.startswith("jdbc:mysql:"):
            lines.append(_fill_table(source, folder / "flights.db"))
        elif isinstance(source, TopicSource):
            lines.append(_fill_topic(source, folder / "operations"))
        elif isinstance(source, FileSource) and source.open_files is not None and isinstance(config, FilesConfig | LogConfig):
            lines.append(_fill_folder(source, source.open_files(), LocalStorage(folder / config.folder.name)))
    return lines


def _fill_folder(source: FileSource, there: Storage, here: LocalStorage) -> str:
    """Copy the files that are missing, or have grown since: each whole or not at all."""
    sizes = {entry.path: entry.size for entry in _listed(source, there)}
    new = [entry.path for entry in here.list(source.pattern) if sizes.get(entry.path) != entry.size]
    for path in new:
        with here.open_read(path) as file:
            there.write_atomic(path, iter(partial(file.read, _PIECE), b""))
    return f"{source.folder}: {len(new)} files added"


def _listed(source: FileSource, there: Storage) -> list[Entry]:
    try:
        return there.list(source.pattern)
    except StorageError as error:
        if error.facts.get("missing"):  # the folder is made with its first file
            return []
        raise


def _fill_table(source: DatabaseSource, file: Path) -> str:
    """Copy the table of the same name, in one transaction; a table with the first rows gets the others."""
    place = urlsplit(source.url.removeprefix("jdbc:"))
    login: dict[str, Any] = {"host": place.hostname, "port": place.port, "user": source.user, "password": source.password or ""}
    where = f"MySQL table {place.path[1:]}.{source.table} at {place.hostname}:{place.port}"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ours, closing(pymysql.connect(**login)) as theirs:
            added = _copy(ours, theirs, place.path[1:], source)
    except pymysql.MySQLError as error:
        raise SourceError(f"{where} cannot be filled: {error.args[-1]}: see that the server runs, then run again") from error
    return f"{where}: {added:,} rows added"


def _copy(ours: sqlite3.Connection, theirs: Any, database: str, source: DatabaseSource) -> int:
    table, key = source.table, source.watermark
    columns = [(name, kind) for _, name, kind, *_ in ours.execute(f"PRAGMA table_info(`{table}`)")]
    with theirs.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
        cursor.execute(f"USE `{database}`")
        types = ", ".join(f"`{name}` {_TYPES[kind]}" for name, kind in columns)
        times = "".join(f", KEY (`{name}`)" for name, kind in columns if kind == "DATETIME")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS `{table}` ({types}, PRIMARY KEY (`{key}`){times}) CHARACTER SET utf8mb4")
        cursor.execute(f"SELECT COUNT(*), COALESCE(MAX(`{key}`), 0) FROM `{table}`")  # noqa: S608
        count, last = cursor.fetchone()
        if ours.execute(f"SELECT COUNT(*) FROM `{table}` WHERE `{key}` <= ?", (last,)).fetchone() != (count,):  # noqa: S608
            raise ConfigError(f"table {database}.{table} holds {count:,} rows of another airline: drop it, then run again")
        rows = ours.execute(f"SELECT * FROM `{table}` WHERE `{key}` > ? ORDER BY `{key}`", (last,))  # noqa: S608
        insert = f"INSERT INTO `{table}` VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608
        added = 0
        while some := list(islice(rows, _ROWS)):
            added += cursor.executemany(insert, some) or 0
        theirs.commit()
    return added


def _fill_topic(source: TopicSource, folder: Path) -> str:
    """The lines of the log in order, one record each, on one partition: its end says how many are there already."""
    try:
        end = _open_topic(source)
        _require_same(source, folder, end)
        added = _produce(source, folder, end)
    except KafkaException as error:
        raise SourceError(
            f"Kafka topic {source.topic!r} at {source.servers} cannot be filled: {error.args[0].str()}: "
            "see that the broker runs, then run again"
        ) from error
    return f"Kafka topic {source.topic} at {source.servers}: {added:,} records added"


def _lines(folder: Path, start: int) -> Iterator[bytes]:
    """The lines of the log from number ``start`` (0, 1, …) on, without their ends."""
    every = (line for path in sorted(folder.glob("*.log")) for line in path.read_bytes().split(b"\n")[:-1])
    return islice(every, start, None)


def _open_topic(source: TopicSource) -> int:
    """Make the topic when there is none; the offset after its last record."""
    client = AdminClient({"bootstrap.servers": source.servers, "log_level": 0})
    metadata = client.list_topics(timeout=_WAIT_S)
    if source.topic not in metadata.topics:
        made = client.create_topics([NewTopic(source.topic, 1, config={"retention.ms": "-1"})], operation_timeout=_WAIT_S)
        made[source.topic].result(_WAIT_S)
        return 0
    if len(metadata.topics[source.topic].partitions) != 1:
        raise ConfigError(f"Kafka topic {source.topic!r} has several partitions: delete it, then run again")
    with closing(_consumer(source)) as consumer:
        return int(consumer.get_watermark_offsets(TopicPartition(source.topic, 0), timeout=_WAIT_S)[1])


def _require_same(source: TopicSource, folder: Path, end: int) -> None:
    if end == 0:
        return
    with closing(_consumer(source)) as consumer:
        consumer.assign([TopicPartition(source.topic, 0, end - 1)])
        last = consumer.poll(_WAIT_S)
    if last is None or last.value() != next(_lines(folder, end - 1), None):
        raise ConfigError(f"Kafka topic {source.topic!r} holds {end:,} records of another log: delete it, then run again")


def _consumer(source: TopicSource) -> Consumer:
    return Consumer({"bootstrap.servers": source.servers, "group.id": "maas-seed", "enable.auto.commit": False, "log_level": 0})


def _produce(source: TopicSource, folder: Path, start: int) -> int:
    failures: list[Any] = []
    producer = Producer(
        {
            "bootstrap.servers": source.servers,
            "enable.idempotence": True,
            "linger.ms": 50,
            "message.timeout.ms": 60_000,
            "log_level": 0,
        }
    )
    added = 0
    for line in _lines(folder, start):
        _send(producer, source.topic, line, failures)
        if failures:
            break
        added += 1
    producer.flush()
    if failures:
        raise KafkaException(failures[0])
    return added


def _send(producer: Producer, topic: str, line: bytes, failures: list[Any]) -> None:
    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(error)

    while not failures:
        try:
            producer.produce(topic, line, partition=0, on_delivery=delivered)
        except BufferError:
            producer.poll(1)
        else:
            producer.poll(0)
            return
