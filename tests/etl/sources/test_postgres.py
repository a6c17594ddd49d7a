"""PostgreSQL: every type to the letter, whatever the server's settings, and a server that is killed while it is read."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import Interval, TableName
from core.errors import ConfigError, SourceDown, SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.ingest import ingest
from etl.sources.database import DatabaseSource
from etl.sources.dialect import Dialect
from etl.sources.statement import Parameter, render
from tests.postgres import Postgres

RAW = TableName.parse("raw.t")


@pytest.fixture
def source(postgres: Postgres) -> DatabaseSource:
    return DatabaseSource(f"jdbc:{postgres.url.replace('maas@', '')}", "t", "id", user="maas", password=postgres.password)


def values(spark: SparkSession, source: DatabaseSource) -> list[dict[str, str | None]]:
    rows = source.read(spark, source.plan(lambda: spark, None)).orderBy("_offset").collect()
    return [json.loads(bytes(row.value)) for row in rows]


def test_every_type_keeps_what_it_holds(spark: SparkSession, source: DatabaseSource, postgres: Postgres):
    # given a server and a user whose settings show values otherwise
    postgres.execute("""
        ALTER ROLE maas SET bytea_output = 'escape'; ALTER ROLE maas SET extra_float_digits = -15;
        ALTER ROLE maas SET datestyle = 'SQL, DMY'; ALTER ROLE maas SET intervalstyle = 'sql_standard'""")
    postgres.execute("""
        CREATE TYPE mood AS ENUM ('glad', 'sad');
        CREATE DOMAIN positive AS int CHECK (value > 0);
        CREATE TABLE t (id bigint PRIMARY KEY, "n N" numeric, d double precision, r real, yes boolean, b bytea, bits bit(12),
          one bit, ts timestamptz, at timestamp, day date, clock time, span interval, j json, jb jsonb, u uuid, m mood,
          p positive, net inet, words text[], grid int[][], times timestamptz[], "text" text);
        INSERT INTO t VALUES (-3, 12345678901234567890.123456789012345678901234567890, 0.1::float8 + 0.2::float8, 16777217.4,
          true, '\\xff00', B'000000000101', B'1', '2013-01-01 05:00:00.25+05', '2013-01-01 05:00:00.000001', '2013-01-02',
          '23:59:59.5', '1 day 02:00:03.5', '{"a":  1.10}', '{"b": 1.10, "a": null}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
          'sad', 7, '10.0.0.1/8', ARRAY['a,b', NULL, 'q"\\'], ARRAY[[1, 2], [3, 4]], ARRAY['2013-01-01 05:00+05'::timestamptz],
          E'q"\\t''é€😀'), (7, 'NaN', 'NaN', 'Infinity', false, '', B'111111111111', B'0', 'infinity',
          '-infinity', 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL, '');
        INSERT INTO t VALUES (9223372036854775)""")
    # when
    first, second, third = values(spark, source)
    # then
    assert first == {
        "id": "-3", "n N": "12345678901234567890.123456789012345678901234567890", "d": "0.30000000000000004",
        "r": "1.6777218e+07", "yes": "true", "b": "FF00", "bits": "000000000101", "one": "1", "ts": "2013-01-01 00:00:00.25+00",
        "at": "2013-01-01 05:00:00.000001", "day": "2013-01-02", "clock": "23:59:59.5", "span": "P1DT2H3.5S", "j": '{"a":  1.10}',
        "jb": '{"a": null, "b": 1.10}', "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "m": "sad", "p": "7", "net": "10.0.0.1/8",
        "words": '["a,b",null,"q\\"\\\\"]', "grid": "[[1,2],[3,4]]", "times": '["2013-01-01T00:00:00+00:00"]',
        "text": "q\"\t'é€😀",
    }  # fmt: skip
    assert {name: value for name, value in second.items() if value is not None} == {
        "id": "7", "n N": "NaN", "d": "NaN", "r": "Infinity", "yes": "false", "b": "", "bits": "111111111111", "one": "0",
        "ts": "infinity", "at": "-infinity", "day": "infinity", "words": "[]", "text": "",
    }  # fmt: skip
    assert {name for name, value in third.items() if value is not None} == {"id"}
    assert list(third) == list(first)


def test_an_interval_takes_the_rows_of_its_time(spark: SparkSession, source: DatabaseSource, postgres: Postgres):
    postgres.execute("""
        CREATE TABLE t (id int PRIMARY KEY, at timestamp, ts timestamptz, day date, name text);
        INSERT INTO t VALUES (1, '2013-01-01 23:59:59.999999', '2013-01-02 08:59:59.999999+09', '2013-01-01', 'a'),
          (2, '2013-01-02', '2013-01-02 09:00+09', '2013-01-02', 'b'),
          (3, '2013-01-02 23:59:59.999999', '2013-01-02 23:59:59.999999Z', '2013-01-02', 'c'),
          (4, '2013-01-03', '2013-01-03 00:00Z', '2013-01-03', 'd'), (5, 'infinity', 'infinity', 'infinity', 'e')""")
    for column in ("at", "ts", "day"):
        by_time = replace(source, interval=column)
        plan = by_time.plan(lambda: spark, None, Interval.parse("2013-01-02"))
        assert sorted(row._offset for row in by_time.read(spark, plan).collect()) == [2, 3]
    with pytest.raises(ConfigError, match="column 'name' is of type string: an interval needs a date or timestamp"):
        replace(source, interval="name").plan(lambda: spark, None, Interval.parse("2013-01-02"))


def test_what_is_wrong_is_one_line_without_the_password(spark: SparkSession, source: DatabaseSource, postgres: Postgres):
    postgres.execute("CREATE TABLE t (id int)")
    wrong = {
        "password authentication failed": replace(source, password="wrong-secret"),  # noqa: S106
        'relation "nowhere.t" does not exist': replace(source, table="nowhere.t"),
        "database .none. does not exist": replace(source, url=source.url.replace("/maas", "/none")),
    }
    for reason, one in wrong.items():
        with pytest.raises(SourceError, match=reason) as caught:
            one.plan(lambda: spark, None)
        assert not isinstance(caught.value, SourceDown)
        assert "wrong-secret" not in caught.value.message and postgres.password not in caught.value.message
        assert "\n" not in caught.value.message


def test_a_server_that_is_killed_while_it_is_read_and_comes_back_loses_and_doubles_nothing(
    spark: SparkSession, tmp_path: Path, source: DatabaseSource, postgres: Postgres
):
    # given rows that take their time, so that the server dies in the middle of them
    lake = Lake(tmp_path / "lake")
    postgres.execute("""
        CREATE TABLE began AS SELECT now() AS at;
        CREATE TABLE kept (id int PRIMARY KEY, text char(200));
        INSERT INTO kept SELECT n, repeat('x', 200) FROM generate_series(1, 15000) n;
        CREATE FUNCTION slow(n int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN
          IF n = 12000 AND pg_postmaster_start_time() < (SELECT at FROM began) THEN
            RAISE LOG 'in the middle'; PERFORM pg_sleep(60);
          END IF;
          RETURN ''; END $$;
        CREATE VIEW t AS SELECT id, text || slow(id) AS text FROM kept""")

    def die() -> None:
        log = postgres.folder / "log"
        while "in the middle" not in log.read_text():
            time.sleep(0.02)
        postgres.kill()
        postgres.start()

    # when
    fault = threading.Thread(target=die)
    fault.start()
    landed = ingest(lambda: spark, lake, source, RAW, app="t")
    fault.join()
    # then
    assert landed.rows == 15_000
    assert read_table(spark, lake, RAW).select("_offset").distinct().count() == 15_000
    assert ingest(lambda: spark, lake, source, RAW, app="t").rows == 0


def test_a_server_that_stays_away_leaves_nothing_half_written(spark: SparkSession, tmp_path: Path, source: DatabaseSource):
    lake = Lake(tmp_path / "lake")
    nowhere = replace(source, url="jdbc:postgresql://127.0.0.1:1/maas")
    with pytest.raises(
        SourceDown, match=r"table 't' cannot be read \(postgresql at 127\.0\.0\.1:1\): Connection refused"
    ) as caught:
        ingest(lambda: spark, lake, nowhere, RAW, app="t", patience_s=0)
    assert "\n" not in caught.value.message
    assert not lake.exists(RAW)


def test_a_query_gets_its_parameters_and_cannot_write(
    spark: SparkSession,
    source: DatabaseSource,
    postgres: Postgres,
    literals: tuple[str, dict[str, Parameter], dict[str, str | None]],
):
    query, parameters, expected = literals
    for setting in ("on", "off"):
        postgres.execute(f"ALTER ROLE maas SET standard_conforming_strings = {setting}")
        given = render(query, parameters, Dialect("postgresql"))
        assert values(spark, replace(source, table="query", query=given)) == [expected]
    postgres.execute("""
        ALTER ROLE maas RESET ALL; CREATE TABLE t (id int); CREATE SEQUENCE s;
        CREATE FUNCTION taken() RETURNS int LANGUAGE SQL AS 'INSERT INTO t VALUES (1) RETURNING id'""")
    for writing in ("nextval('s')", "taken()"):
        with pytest.raises(SourceError, match="read-only transaction"):
            values(spark, replace(source, table="query", query=f"SELECT {writing} AS id"))
    assert postgres.execute("SELECT is_called, (SELECT count(*) FROM t) FROM s") == "f|0"
