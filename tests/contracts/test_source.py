"""What every source must do, whatever it reads from."""

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from core.errors import SourceError
from core.settings import Settings, SourcesSettings
from etl.sources.collection import CollectionSource
from etl.sources.config import DatabaseConfig, DownloadConfig, open_source
from etl.sources.database import DatabaseSource
from etl.sources.files import FileSource
from etl.sources.mongo_config import MongoConfig
from etl.sources.records import Format
from etl.sources.source import RECORD, Plan, Position, Source
from etl.sources.topic import TopicSource
from tests.postgres import Postgres
from tests.web import Served, serve


@dataclass(frozen=True)
class Place:
    """A source, how to put numbered records into it, and how to take it away."""

    source: Source
    add: Callable[[range], None]
    remove: Callable[[], object]


def database(home: Path) -> Place:
    file = home / "t.db"

    def add(numbers: range) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER)")
            connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in numbers])

    return Place(DatabaseSource(f"sqlite:///{file}", "t", "id", ("n",)), add, file.unlink)


def files(form: Format, line: str) -> Callable[[Path], Place]:
    def build(home: Path) -> Place:
        file = home / "in" / "records"

        def add(numbers: range) -> None:
            file.parent.mkdir(exist_ok=True)
            if form is Format.CSV and not file.exists():
                file.write_text("n\n")
            with file.open("a") as end:
                end.writelines(line.format(n) + "\n" for n in numbers)

        def remove() -> None:
            file.unlink()
            file.parent.rmdir()

        return Place(FileSource(home / "in", "*", form), add, remove)

    return build


def packed(home: Path) -> Place:
    """Documents that are compressed: each is whole when it comes."""
    folder = home / "in"

    def add(numbers: range) -> None:
        folder.mkdir(exist_ok=True)
        document = json.dumps([{"n": n} for n in numbers]).encode()
        (folder / f"{numbers.start}.json.gz").write_bytes(gzip.compress(document))

    return Place(FileSource(folder, "*", Format.JSON), add, lambda: shutil.rmtree(folder))


PLACES = {
    "database": database,
    "jsonl": files(Format.JSONL, '{{"n": "{}"}}'),
    "csv": files(Format.CSV, "{}"),
    "log": files(Format.LOG, "number {}"),
    "packed": packed,
}


@pytest.fixture
def download_place(tmp_path: Path) -> Iterator[Place]:
    with serve() as web:
        config = DownloadConfig(kind="download", url=f"{web.url}/t.csv", folder=Path("t"), format="csv", allow=("127.0.0.1",))

        def add(numbers: range) -> None:
            web.pages["/t.csv"] = Served("".join(f"{n}\n" for n in ["n", *numbers]).encode(), etag=f'"{numbers}"')

        yield Place(open_source(config, Settings(root=tmp_path, home=tmp_path)), add, web.pages.clear)


@pytest.fixture
def mysql_place(cluster: Settings, mysql: Callable[[str], None]) -> Place:
    config = DatabaseConfig(kind="database", url="mysql:///test_flights", table="t", watermark="id", columns=("n",))

    def add(numbers: range) -> None:
        mysql("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, n INT)")
        mysql(f"INSERT INTO t VALUES {', '.join(f'({n}, {n})' for n in numbers)}")  # noqa: S608

    return Place(open_source(config, cluster), add, lambda: mysql("DROP TABLE t"))


@pytest.fixture
def postgres_place(postgres: Postgres, tmp_path: Path) -> Place:
    config = DatabaseConfig(kind="database", url=postgres.url, table="t", watermark="id", columns=("n",), password="theirs")  # noqa: S106
    settings = Settings(root=tmp_path, home=tmp_path, sources=SourcesSettings(passwords={"theirs": SecretStr(postgres.password)}))

    def add(numbers: range) -> None:
        values = ", ".join(f"({n}, {n})" for n in numbers)
        postgres.execute(f"CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES {values}")  # noqa: S608

    return Place(open_source(config, settings), add, lambda: postgres.execute("DROP TABLE t"))


@pytest.fixture
def mongo_place(cluster: Settings) -> Iterator[Place]:
    source = open_source(MongoConfig(kind="mongo", url="mongodb:///contract", collection="t", fields=("n",)), cluster)
    assert isinstance(source, CollectionSource)
    with source.server.documents() as documents:

        def add(numbers: range) -> None:
            documents.insert_many({"n": n, "not": "read"} for n in numbers)

        yield Place(replace(source, watermark="n"), add, documents.drop)
        documents.drop()


@pytest.fixture
def kafka_place(make_topic: Callable[[int], Any]) -> Place:
    topic = make_topic(2)

    def add(numbers: range) -> None:
        for partition in (0, 1):
            topic.send(*(str(n).encode() for n in numbers if n % 2 == partition), partition=partition)

    return Place(TopicSource(topic.servers, topic.name), add, topic.delete)


@pytest.fixture(
    params=[
        *sorted(PLACES),
        "download",
        *(pytest.param(name, marks=pytest.mark.cluster) for name in ("mysql", "postgres", "mongo", "kafka")),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param in PLACES:
        return PLACES[request.param](tmp_path)
    return request.getfixturevalue(f"{request.param}_place")  # type: ignore[no-any-return]


def through_json(position: Position) -> Position:
    return dict(json.loads(json.dumps(position)))


def numbers(spark: SparkSession, source: Source, plan: Plan) -> list[int]:
    values = [bytes(row.value).decode() for row in source.read(spark, plan).collect()]
    return sorted(int("".join(letter for letter in value if letter.isdigit())) for value in values)


def test_records_have_one_schema_and_offsets_of_their_own(spark: SparkSession, place: Place):
    place.add(range(1, 50))
    rows = place.source.read(spark, place.source.plan(lambda: spark, None))
    assert [(f.name, f.dataType) for f in rows.schema] == [(f.name, f.dataType) for f in RECORD]
    found = rows.collect()
    assert len({(row._source, row._offset) for row in found}) == len(found) == 49
    assert all(row.value is not None and row._source is not None for row in found)


def test_each_record_is_in_exactly_one_plan(spark: SparkSession, place: Place):
    place.add(range(1, 10))
    first = place.source.plan(lambda: spark, None)
    assert place.source.plan(lambda: spark, through_json(first.position)).ranges == ()
    place.add(range(10, 30))
    second = place.source.plan(lambda: spark, through_json(first.position))
    place.add(range(30, 31))  # after it was planned
    third = place.source.plan(lambda: spark, through_json(second.position))
    assert numbers(spark, place.source, second) == list(range(10, 30))
    assert numbers(spark, place.source, first) == list(range(1, 10))
    assert numbers(spark, place.source, third) == [30]


def test_planning_is_repeatable(spark: SparkSession, place: Place):
    place.add(range(1, 10))
    assert place.source.plan(lambda: spark, None) == place.source.plan(lambda: spark, None)


def test_a_source_that_is_not_there_is_named_in_one_line(spark: SparkSession, place: Place):
    place.add(range(1, 3))
    position = place.source.plan(lambda: spark, None).position
    place.remove()
    for known in (None, position):
        with pytest.raises(SourceError, match=r"no such|doesn't exist|does not exist") as caught:
            place.source.plan(lambda: spark, known)
        assert "\n" not in caught.value.message
