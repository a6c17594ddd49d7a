"""The configuration database over SQLite and MySQL."""

import multiprocessing
from datetime import UTC, datetime

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory

from core.database.configurations import Configurations
from core.database.database import Database
from core.database.migrate import _config, current, migrate
from core.database.schema import REVISION, metadata
from core.errors import ConfigError


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.cluster)])
def place(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'maas.db'}", None
    settings = request.getfixturevalue("cluster")
    return settings.database.url, settings.database.password


@pytest.fixture
def database(place):
    database = Database.open(*place)
    for table in metadata.sorted_tables:
        database.write(lambda connection, table=table: connection.execute(table.delete()))
    yield database
    database.close()


@pytest.fixture
def configurations(database):
    return Configurations(database)


def test_versions_are_counted_and_an_unchanged_text_makes_none(configurations):
    text = "name: flights # \u96ea \U0001f600\n" + "x" * 70_000
    first = configurations.push("pipeline", "flights", text, "ann")
    assert (first.version, first.text, first.author, len(first.digest)) == (1, text, "ann", 64)
    assert first.created_at <= datetime.now(UTC)
    assert configurations.push("pipeline", "flights", text, "bob") == first
    assert configurations.push("pipeline", "flights", text + " ").version == 2
    assert configurations.push("pipeline", "flights", text) == first
    assert configurations.push("rules", "flights", text).version == 1
    assert configurations.push("pipeline", "Flights", text).version == 1


def test_history_get_and_diff(configurations):
    for text in ("a: 1\nb: 2\n", "a: 1\nb: 3\n"):
        configurations.push("pipeline", "flights", text)
    assert [kept.version for kept in configurations.history("pipeline", "flights")] == [2, 1]
    assert configurations.get("pipeline", "flights").text == "a: 1\nb: 3\n"
    assert configurations.get("pipeline", "flights", 1).text == "a: 1\nb: 2\n"
    changed = configurations.diff("pipeline", "flights", 1, 2).splitlines()
    assert changed == [
        "--- pipeline/flights version 1",
        "+++ pipeline/flights version 2",
        "@@ -1,2 +1,2 @@",
        " a: 1",
        "-b: 2",
        "+b: 3",
    ]
    assert configurations.diff("pipeline", "flights", 2, 2) == ""


def test_what_is_not_there_is_said_with_what_is(configurations):
    with pytest.raises(ConfigError, match="no pipeline 'flights': none was run or pushed yet"):
        configurations.get("pipeline", "flights")
    configurations.push("pipeline", "flights", "a: 1\n")
    with pytest.raises(ConfigError, match="no pipeline 'flights' version 7: the newest is 1"):
        configurations.get("pipeline", "flights", 7)
    with pytest.raises(ConfigError, match="no pipeline 'flihgts': there are: flights"):
        configurations.history("pipeline", "flihgts")


def push_some(place, texts, results):
    database = Database.open(*place)
    results.put([Configurations(database).push("pipeline", "flights", text).version for text in texts])
    database.close()


def test_processes_that_start_together_migrate_once_and_agree_on_versions(place, database):
    # given no tables
    migrate(database.engine, "base")
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    texts = [f"n: {n}\n" for n in range(8)]
    # when three processes come at once
    workers = [spawn.Process(target=push_some, args=(place, order, results)) for order in (texts, texts, texts[::-1])]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    # then each text has one number, the same for all
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    first, second, third = (results.get() for _ in range(3))
    assert sorted(first) == sorted(second) == sorted(third) == list(range(1, 9))
    assert [kept.version for kept in Configurations(database).history("pipeline", "flights")] == list(range(8, 0, -1))


def test_the_schema_goes_down_and_up_again_and_is_what_the_code_thinks(database):
    migrate(database.engine, "base")
    assert current(database.engine) is None
    assert set(sqlalchemy.inspect(database.engine).get_table_names()) <= {"alembic_version"}
    migrate(database.engine)
    assert current(database.engine) == REVISION
    found = sqlalchemy.inspect(database.engine)
    for table in metadata.sorted_tables:
        columns = [(column["name"], column["nullable"]) for column in found.get_columns(table.name)]
        assert columns == [(column.name, column.nullable) for column in table.columns]
    with database.engine.connect() as connection:
        assert ScriptDirectory.from_config(_config(connection)).get_heads() == [REVISION]


def test_a_migration_that_was_broken_off_is_run_again(place, database):
    # given the tables without the mark that they are whole, as MySQL leaves them
    database.write(lambda connection: connection.execute(sqlalchemy.text("DELETE FROM alembic_version")))
    again = Database.open(*place)
    assert current(again.engine) == REVISION
    again.close()


def test_a_database_of_newer_code_is_refused(place, database):
    def mark(revision):
        statement = sqlalchemy.text("UPDATE alembic_version SET version_num = :revision")
        database.write(lambda connection: connection.execute(statement, {"revision": revision}))

    mark("9999")
    with pytest.raises(ConfigError, match=r"its schema 9999 is newer than this platform \(0002\): update the platform"):
        Database.open(*place)
    mark(REVISION)
