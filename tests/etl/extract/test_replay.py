"""What is quarantined goes through mended rules again, exactly once, whatever ends a replay."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.tables import read_table
from etl.extract import extract
from etl.quarantine import Held, counts, newest
from etl.replay import Replayed, finish, is_pending, replay
from etl.rules.config import TableRules

RAW, INTO, QUARANTINE = (TableName.parse(f"{layer}.lines") for layer in ("raw", "extracted", "quarantine"))
SEED = 2
APP = "test/extract"
RULES = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.lines
    rules:
      - {name: pair, kind: regex, pattern: '(?<key>[KEYS])=(?<number>\S+)', fields: {key: {type: string}, number: {type: TYPE}}}
"""
CHECKS = """    checks:
      - {name: once, kind: unique, columns: [key]}
"""


@pytest.fixture
def table(rules) -> Callable[..., TableRules]:
    """Rules that take the records whose key is one of some letters."""
    return lambda keys, kind="int", more="": rules(RULES.replace("KEYS", keys).replace("TYPE", kind) + more).tables[0]


class Killed(BaseException):
    """Stands for a kill: nothing catches it, and what is not committed is not there."""


def dying(lake: Lake, table: TableName) -> Lake:
    """The lake as a process sees it that is killed when it would lock ``table`` to write it."""

    class Locks:
        def hold(self, name: str, wait_s: float):
            if name == str(table):
                raise Killed
            return lake.exclusive(TableName.parse(name), wait_s)

    return replace(lake, locks=Locks())


def content(spark: SparkSession, lake: Lake) -> tuple[list[tuple], list[tuple]]:
    good = read_table(spark, lake, INTO).orderBy("_batch", "_offset").collect()
    bad = read_table(spark, lake, QUARANTINE).orderBy("_batch", "_offset").collect()
    return (
        [(r["_batch"], r["_offset"], r["key"], r["number"], r["_source"], r["_rule_set"][:4]) for r in good],
        [(r["_batch"], r["_offset"], bytes(r["raw"]), r["reason"], r["rule_set"][:4]) for r in bad],
    )


def test_mended_rules_take_records_out_of_quarantine_once_and_the_rest_stays_with_its_new_reason(
    spark, lake, land, table
) -> None:
    land("raw.lines", 1, [b"a=1", b"b=2", b"junk"])
    land("raw.lines", 2, [b"b=x", b"c=3"])
    old, new = table("a"), table("ab")
    extract(spark, lake, old, app=APP)
    versions = lambda: (lake.version(INTO), lake.version(QUARANTINE))  # noqa: E731

    done = replay(spark, lake, new, app=APP)
    after = versions()
    again = replay(spark, lake, new, app=APP)

    first, second = old.rule_set[:4], new.rule_set[:4]
    assert done == Replayed(4, 1, {"no_rule": 2, "bad_cast": 1})
    assert again == Replayed(3, 0, {"no_rule": 2, "bad_cast": 1})
    assert versions() == after
    assert content(spark, lake) == (
        [(1, 0, "a", 1, "batch-1", first), (1, 1, "b", 2, "batch-1", second)],
        [(1, 2, b"junk", "no_rule", second), (2, 0, b"b=x", "bad_cast", second), (2, 1, b"c=3", "no_rule", second)],
    )
    # what lies in quarantine is read without Spark
    assert counts(lake, QUARANTINE) == {(None, "no_rule", 1): 1, ("pair", "bad_cast", 2): 1, (None, "no_rule", 2): 1}
    assert newest(lake, QUARANTINE, 1) == [Held(2, "batch-2", 0, "pair", "bad_cast", "field number: 'x' is not an int", b"b=x")]
    assert [held.raw for held in newest(lake, QUARANTINE, 9, "no_rule")] == [b"c=3", b"junk"]
    # and extraction goes on from where it was
    land("raw.lines", 3, [b"b=4"])
    assert extract(spark, lake, new, app=APP).rows_in == 1


def test_records_are_read_under_the_header_that_they_came_with(spark, lake, land, rules) -> None:
    text = """
version: 1
tables:
  - from: raw.lines
    into: extracted.lines
    rules:
      - {name: line, kind: delimited, columns: [key, number], fields: {key: {type: string}, number: {type: KIND}}}
"""
    land("raw.lines", 1, [b"a,1", b"b,2.5"], header=b"key,number")
    extract(spark, lake, rules(text.replace("KIND", "int")).tables[0], app=APP)
    assert lake.info(QUARANTINE).rows == 1
    mended = text.replace(
        "number: {type: KIND}", "number: {type: int, null_values: ['2.5']}, half: {type: string, column: number}"
    )

    assert replay(spark, lake, rules(mended).tables[0], app=APP).rows == 1

    rows = read_table(spark, lake, INTO).orderBy("key").collect()
    assert [(r["key"], r["number"], r["half"]) for r in rows] == [("a", 1, None), ("b", None, "2.5")]


def test_a_replay_that_was_killed_between_its_commits_is_finished_by_whatever_comes_next(spark, lake, land, table) -> None:
    old, new, other = table("a"), table("ab"), table("abc")
    land("raw.lines", 1, [b"a=1", b"b=2", b"c=3"])
    extract(spark, lake, old, app=APP)
    with pytest.raises(Killed):
        replay(spark, dying(lake, QUARANTINE), new, app=APP)
    assert (lake.info(INTO).rows, lake.info(QUARANTINE).rows) == (2, 2)
    assert is_pending(lake, new, app=APP)
    # given that extraction, by still other rules, and compaction came before its end
    land("raw.lines", 2, [b"d=4"])
    extract(spark, lake, other, app=APP)
    compact(spark, lake, QUARANTINE)

    assert finish(spark, lake, other, app=APP) == 1

    good, bad = content(spark, lake)
    assert [row[2] for row in good] == ["a", "b"]
    assert [(row[2], row[4]) for row in bad] == [(b"c=3", new.rule_set[:4]), (b"d=4", other.rule_set[:4])]
    assert finish(spark, lake, other, app=APP) == 0
    assert replay(spark, lake, other, app=APP) == Replayed(2, 1, {"no_rule": 1})


def test_a_key_that_is_there_already_stops_a_replay_before_anything_is_written(spark, lake, land, table) -> None:
    land("raw.lines", 1, [b"a=1", b"b=2"])
    extract(spark, lake, table("a", more=CHECKS), app=APP)
    land("raw.lines", 2, [b"b=3"])
    extract(spark, lake, table("a", more=CHECKS), app=APP)
    before = lake.version(INTO), lake.version(QUARANTINE)

    with pytest.raises(TableError, match="check once: more than one row has key b; nothing was written"):
        replay(spark, lake, table("ab", more=CHECKS), app=APP)

    assert (lake.version(INTO), lake.version(QUARANTINE)) == before


def test_bytes_that_quarantine_does_not_keep_are_read_from_the_raw_table(spark, lake, land, table) -> None:
    land("raw.lines", 1, [b"a=1", b"b=2", None])
    extract(spark, lake, table("a", more="    quarantine_raw: dropped\n"), app=APP)
    assert [held.raw for held in newest(lake, QUARANTINE, 9)] == [None, None]

    done = replay(spark, lake, table("ab", more="    quarantine_raw: dropped\n"), app=APP)

    assert done == Replayed(2, 1, {"tombstone": 1})


def test_a_record_that_gives_several_rows_leaves_quarantine_once(spark, lake, land, rules) -> None:
    text = """
version: 1
tables:
  - from: raw.lines
    into: extracted.lines
    match: all
    rules:
      - {name: key, kind: regex, pattern: '(?<key>[KEYS])=.*', fields: {key: {type: string}}}
      - {name: number, kind: regex, pattern: '[KEYS]=(?<number>\\d)', fields: {number: {type: int}}}
"""
    land("raw.lines", 1, [b"a=1", b"b=2", b"c=3"])
    extract(spark, lake, rules(text.replace("KEYS", "a")).tables[0], app=APP)
    assert (lake.info(INTO).rows, lake.info(QUARANTINE).rows) == (2, 2)

    assert replay(spark, lake, rules(text.replace("KEYS", "ab")).tables[0], app=APP) == Replayed(2, 2, {"no_rule": 1})

    assert (lake.info(INTO).rows, lake.info(QUARANTINE).rows) == (4, 1)


def test_without_quarantine_the_step_to_run_is_named(spark, lake, land, table) -> None:
    with pytest.raises(TableError, match="run step 'extract' first"):
        replay(spark, lake, table("a"), app=APP)


def test_each_record_is_once_a_row_or_in_quarantine_after_any_batches_rules_replays_and_kills(spark, lake, land, table) -> None:
    draw, batches, landed = random.Random(SEED), 0, []
    for action in ("land", "kill", "land", "replay", "kill", "land"):
        rules = table("".join(sorted(draw.sample("abcd", draw.randint(1, 4)))))
        if action == "land":
            batches += 1
            records = [f"{draw.choice('abcde')}={draw.choice(['1', '2', 'x'])}".encode() for _ in range(draw.randint(1, 8))]
            land("raw.lines", batches, records)
            landed += [(batches, at, record) for at, record in enumerate(records)]
            extract(spark, lake, rules, app=APP)
        elif action == "replay":
            replay(spark, lake, rules, app=APP)
        else:
            with suppress(Killed):  # at one of the two commits, if it comes to one
                replay(spark, dying(lake, draw.choice([INTO, QUARANTINE])), rules, app=APP)
    finish(spark, lake, table("a"), app=APP)

    good, bad = content(spark, lake)
    found = [(batch, at, f"{key}={number}".encode()) for batch, at, key, number, *_ in good] + [row[:3] for row in bad]
    assert sorted(found) == sorted(landed)
