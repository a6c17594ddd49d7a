"""Rules are tried on records before they are put to work, and nothing is written."""

import pytest

from core.errors import RuleError, TableError
from etl.extract import extract
from etl.preview import Change, Outcome, preview

RULES = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules:
      - {name: pair, kind: regex, pattern: 'PATTERN', fields: {key: {type: string}, number: {type: TYPE}}}
    checks:
      - {name: small, kind: range, column: number, max: 100}
"""


def table(rules, pattern: str, kind: str = "int"):
    return rules(RULES.replace("PATTERN", pattern).replace("TYPE", kind)).tables[0]


@pytest.fixture
def strict(rules):
    return table(rules, r"(?<key>\w+)=(?<number>\d+)")


def test_rules_are_counted_by_what_they_make_of_the_newest_records(spark, lake, land, strict) -> None:
    land("raw.lines", 1, [b"old=1"] * 3)
    land("raw.lines", 2, [b"a=1", b"b=2", b"c=300", b"junk"])

    found = preview(spark, lake, strict, records=4)

    assert found.after == Outcome({"pair": 2}, {"check:small": 1, "no_rule": 1})
    assert (found.before, found.changed, found.examples) == (None, 0, ())
    assert preview(spark, lake, strict, records=100).after.records == 7


def test_other_rules_are_held_against_the_current_ones_record_by_record(spark, lake, land, rules, strict) -> None:
    land("raw.lines", 1, [b"a=1", b"b=2.5", b"c=300", b"junk", b"d=7"])
    looser = table(rules, r"(?<key>[abc])=(?<number>[\d.]+)", "double")

    found = preview(spark, lake, looser, strict, records=100, examples=2)

    assert found.before == Outcome({"pair": 2}, {"no_rule": 2, "check:small": 1})
    assert found.after == Outcome({"pair": 2}, {"no_rule": 2, "check:small": 1})
    assert found.changed == 4  # the message of the check has another number in it, too
    assert found.examples == [
        Change("batch-1", 0, '{"key":"a","number":1}', '{"key":"a","number":1.0}'),
        Change("batch-1", 1, "no_rule: no rule takes the record 'b=2.5'", '{"key":"b","number":2.5}'),
    ]


def test_the_same_rules_change_nothing_and_a_new_field_changes_the_rows_that_have_it(spark, lake, land, rules, strict) -> None:
    land("raw.lines", 1, [b"a=1", b"junk", b"\xff", b"at=noon"])
    fields = "{at: {type: string}, key: {type: string}}"
    more = f"      - {{name: time, kind: regex, pattern: '(?<key>at)=(?<at>noon)', fields: {fields}}}\n"
    wider = RULES.replace("    rules:\n", f"    rules:\n{more}").replace("PATTERN", r"(?<key>\w+)=(?<number>\d+)")

    assert preview(spark, lake, strict, strict, records=100).changed == 0
    assert preview(spark, lake, rules(wider.replace("TYPE", "int")).tables[0], strict, records=100).examples == [
        Change("batch-1", 3, "no_rule: no rule takes the record 'at=noon'", '{"at":"noon","key":"at"}')
    ]


def test_nothing_is_written(spark, lake, land, strict, rules) -> None:
    land("raw.lines", 1, [b"a=1", b"junk"])
    extract(spark, lake, strict, app="test")
    before = {name: lake.version(name) for name in lake.names()}

    preview(spark, lake, table(rules, "(?<key>.*)=(?<number>.*)"), strict, records=100)

    assert {name: lake.version(name) for name in lake.names()} == before


def test_without_a_raw_table_the_step_to_run_is_named(spark, lake, strict) -> None:
    with pytest.raises(TableError, match=r"there is no table raw\.lines: run step 'ingest' first"):
        preview(spark, lake, strict, records=1)


def test_rules_that_do_not_fit_are_named(spark, lake, land, rules) -> None:
    land("raw.lines", 1, [b"a=1"])
    bad = RULES.replace(
        "{name: small, kind: range, column: number, max: 100}", "{name: e, kind: expression, expression: nosuch > 1}"
    )
    with pytest.raises(RuleError, match="check e"):
        preview(
            spark, lake, rules(bad.replace("PATTERN", "(?<key>.*)=(?<number>.*)").replace("TYPE", "int")).tables[0], records=1
        )
