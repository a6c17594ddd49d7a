"""Extraction is incremental, happens once, and its counts close."""

from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.tables import read_table
from etl.extract import Extracted, extract, is_current
from etl.preview import Outcome, preview
from etl.rules.config import RuleSet

INTO, QUARANTINE = TableName.parse("extracted.numbers"), TableName.parse("quarantine.numbers")
APP = "test/extract"
RULES = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules:
      - {name: pair, kind: regex, pattern: '(?<key>\w+)=(?<number>\S+)',
         fields: {key: {type: string, required: true}, number: {type: int}}}
    checks:
      - {name: small, kind: range, column: number, max: 100}
"""


@pytest.fixture
def numbers(rules: Callable[[str], RuleSet]) -> RuleSet:
    return rules(RULES)


def keys(spark: SparkSession, lake: Lake) -> list[str]:
    return sorted(row["key"] for row in read_table(spark, lake, INTO).collect())


def test_good_records_become_rows_and_all_others_go_to_quarantine_with_a_reason(spark, lake, land, numbers) -> None:
    land("raw.lines", 1, [b"a=1", b"b=x", b"junk", b"c=\xff", b"d=101", b"e=7"])

    done = extract(spark, lake, numbers.tables[0], app=APP)

    reasons = {"bad_cast": 1, "no_rule": 1, "not_utf8": 1, "check:small": 1}
    assert done == Extracted(6, 2, 4, reasons)
    rows = read_table(spark, lake, INTO).orderBy("_offset").collect()
    assert [(r["key"], r["number"], r["_rule"], r["_source"], r["_offset"], r["_batch"]) for r in rows] == [
        ("a", 1, "pair", "batch-1", 0, 1),
        ("e", 7, "pair", "batch-1", 5, 1),
    ]
    assert {r["_rule_set"] for r in rows} == {numbers.digest}


def test_a_raw_table_whose_log_has_no_statistics_is_read_as_well(spark, lake, land, numbers) -> None:
    land("raw.lines", 1, [b"a=1"])
    place = lake.path(numbers.tables[0].source)
    spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES (delta.dataSkippingNumIndexedCols = 0)")
    land("raw.lines", 2, [b"b=2"])

    assert extract(spark, lake, numbers.tables[0], app=APP).rows == 2
    land("raw.lines", 3, [])
    assert extract(spark, lake, numbers.tables[0], app=APP).rows == 0
    assert keys(spark, lake) == ["a", "b"]


def test_quarantine_holds_the_exact_bytes_and_a_message_that_names_field_and_value(spark, lake, land, numbers) -> None:
    damaged = [b"b=x\x00y", b"\x00\xff\xfe", b"a=1\x01x"]
    land("raw.lines", 1, damaged)

    extract(spark, lake, numbers.tables[0], app=APP)

    rows = read_table(spark, lake, QUARANTINE).orderBy("_offset").collect()
    assert [bytes(r["raw"]) for r in rows] == damaged
    assert rows[0]["message"] == "field number: 'x?y' is not an int"
    assert [r["rule"] for r in rows] == ["pair", None, "pair"]
    assert {r["rule_set"] for r in rows} == {numbers.digest}


def test_a_second_run_reads_only_what_is_new_and_with_nothing_new_writes_nothing(spark, lake, land, numbers) -> None:
    land("raw.lines", 1, [b"a=1", b"junk"])
    extract(spark, lake, numbers.tables[0], app=APP)
    land("raw.lines", 2, [b"b=2"])
    land("raw.lines", 3, [b"c=3"])

    second = extract(spark, lake, numbers.tables[0], app=APP)
    versions = lake.version(INTO), lake.version(QUARANTINE)
    third = extract(spark, lake, numbers.tables[0], app=APP)

    assert second == Extracted(2, 2, 0, {})
    assert third == Extracted()
    assert (lake.version(INTO), lake.version(QUARANTINE)) == versions
    assert keys(spark, lake) == ["a", "b", "c"]


def test_counts_close_in_the_tables_own_commits(spark, lake, land, numbers) -> None:
    land("raw.lines", 1, [b"a=1", b"junk", b"b=2"])

    extract(spark, lake, numbers.tables[0], app=APP)

    good, bad = lake.facts(INTO, APP), lake.facts(QUARANTINE, APP)
    assert good and bad
    assert good["rows_in"] == good["rows_out"] + bad["rows_out"] == 3
    assert (lake.info(INTO).rows, lake.info(QUARANTINE).rows) == (2, 1)


def test_a_changed_rule_set_reads_new_batches_and_leaves_old_rows(spark, lake, land, rules) -> None:
    land("raw.lines", 1, [b"a=1", b"b=200"])
    old = rules(RULES)
    extract(spark, lake, old.tables[0], app=APP)
    land("raw.lines", 2, [b"c=200"])
    new = rules(RULES.replace("100", "1000"))

    extract(spark, lake, new.tables[0], app=APP)

    rows = read_table(spark, lake, INTO).orderBy("key").collect()
    assert [(r["key"], r["_rule_set"]) for r in rows] == [("a", old.digest), ("c", new.digest)]


def test_a_field_of_another_type_than_its_column_is_named_and_nothing_is_written(spark, lake, land, rules) -> None:
    land("raw.lines", 1, [b"a=1"])
    extract(spark, lake, rules(RULES).tables[0], app=APP)
    land("raw.lines", 2, [b"b=2", b"junk"])
    versions = lake.version(INTO), lake.version(QUARANTINE)

    with pytest.raises(TableError, match=r"extracted\.numbers: field number is bigint by the rules and int in the table"):
        extract(spark, lake, rules(RULES.replace("type: int", "type: long")).tables[0], app=APP)

    assert (lake.version(INTO), lake.version(QUARANTINE)) == versions


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("    max_quarantined: 0.3\n", "max_quarantined 30.0%.*no_rule 1"),
        ("      - {name: enough, kind: volume, min: 3}\n", "check enough: 2 rows, fewer than 3"),
        ("      - {name: once, kind: unique, columns: [number]}\n", "check once: more than one row has number 1"),
    ],
)
def test_a_batch_that_fails_as_a_whole_stops_the_step_before_anything_is_written(
    spark, lake, land, rules, change: str, said: str
) -> None:
    land("raw.lines", 1, [b"a=1", b"b=1", b"junk"][: 2 if "unique" in change else 3])

    with pytest.raises(TableError, match=said):
        extract(spark, lake, rules(RULES + change).tables[0], app=APP)

    assert not lake.exists(INTO)
    assert not lake.exists(QUARANTINE)


def test_a_key_that_the_table_has_already_stops_the_step_unless_only_the_batch_is_looked_at(spark, lake, land, rules) -> None:
    check = "      - {name: once, kind: unique, columns: [key], scope: table}\n"
    land("raw.lines", 1, [b"a=1"])
    extract(spark, lake, rules(RULES + check).tables[0], app=APP)
    land("raw.lines", 2, [b"a=2"])

    with pytest.raises(TableError, match="more than one row has key a"):
        extract(spark, lake, rules(RULES + check).tables[0], app=APP)
    done = extract(spark, lake, rules(RULES + check.replace("scope: table", "scope: batch")).tables[0], app=APP)

    assert done.rows == 1


def test_an_empty_raw_table_writes_nothing_and_a_missing_one_is_named(spark, lake, land, numbers) -> None:
    with pytest.raises(TableError, match=r"no table raw\.lines"):
        extract(spark, lake, numbers.tables[0], app=APP)
    land("raw.lines", 1, [])

    assert extract(spark, lake, numbers.tables[0], app=APP) == Extracted()
    assert not lake.exists(INTO)


def test_the_logs_alone_tell_whether_there_is_something_to_do(spark, lake, land, numbers) -> None:
    rules = numbers.tables[0]
    with pytest.raises(TableError, match=r"there is no table raw\.lines: run step 'ingest' first"):
        is_current(lake, rules, app=APP)
    land("raw.lines", 1, [b"a=1", b"junk"])
    assert not is_current(lake, rules, app=APP)
    extract(spark, lake, rules, app=APP)
    assert is_current(lake, rules, app=APP)
    land("raw.lines", 2, [b"b=2"])
    assert not is_current(lake, rules, app=APP)
    extract(spark, lake, rules, app=APP)
    assert compact(spark, lake, rules.source).changed
    assert is_current(lake, rules, app=APP)
    assert extract(spark, lake, rules, app=APP) == Extracted()


def test_counts_close_by_records_where_a_record_gives_several_rows(spark, lake, land, rules) -> None:
    items = "fields: {id: {type: int}, n: {type: int, path: '@.n', required: true}}}"
    text = f"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules: [{{name: items, kind: json, explode: $.items, {items}]
    checks: [{{name: enough, kind: volume, min: 3}}]
"""
    table = rules(text).tables[0]
    land("raw.lines", 1, [b'{"id":1,"items":[{"n":1},{"n":2},{"n":3}]}', b'{"id":2,"items":[{"n":4},{}]}', b"junk"])

    done = extract(spark, lake, table, app=APP)
    tried = preview(spark, lake, rules(text.replace("@.n", "@.m")).tables[0], table, records=10)

    assert done == Extracted(3, 3, 2, {"missing_field": 1, "no_rule": 1})
    assert (lake.info(INTO).rows, lake.info(QUARANTINE).rows) == (3, 2)
    lost = read_table(spark, lake, QUARANTINE).orderBy("_offset").collect()
    assert [bytes(row["raw"])[:8] for row in lost] == [b'{"id":2,', b"junk"]
    assert tried.before == Outcome({"items": 3}, {"missing_field": 1, "no_rule": 1})
    assert (tried.after.rules, tried.changed) == ({}, 3)
    assert tried.examples[1].after == "no row"
