"""Checks that look beyond a row: keys of other tables, how fresh the rows are, how their values are spread."""

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import ConfigError, RuleError, TableError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.extract import Extracted, extract
from etl.preview import Outcome, preview
from etl.rules.config import TableRules

PLANES = """
version: 1
tables:
  - from: raw.planes
    into: extracted.planes
    rules: [{name: plane, kind: json, fields: {tail: {type: string, mask: hash}, year: {type: int}}}]
"""
FLIGHTS = """
version: 1
tables:
  - from: raw.flights
    into: extracted.flights
    rules:
      - {name: flight, kind: json, fields: {plane: {type: string, mask: hash}, built: {type: int}, at: {type: timestamp}}}
    checks: [CHECK]
"""
KNOWN = "{name: known, kind: foreign_key, columns: [plane, built], table: extracted.planes, references: [tail, year]}"
FRESH = "{name: fresh, kind: freshness, column: at, max_age: 2h, severity: SEVERITY}"
SPREAD = "{name: spread, kind: distribution, column: COLUMN, severity: warn}"


def keyed(rules: TableRules, references: dict[str, int] | None = None) -> TableRules:
    return TableRules(rules.config, rules.rule_set, {"default": SecretStr("a key made by chance")}, references or {})


def run(spark: SparkSession, lake: Lake, rules: TableRules) -> Extracted:
    return extract(spark, lake, keyed(rules), app="test")


def test_a_key_that_stands_in_no_row_of_the_other_table_sends_its_row_to_quarantine(spark, lake, land, rules) -> None:
    flights = rules(FLIGHTS.replace("CHECK", KNOWN)).tables[0]
    land(
        "raw.flights",
        1,
        [b'{"plane":"a","built":1}', b'{"plane":"a","built":2}', b'{"plane":"b"}', b"{}", b'{"plane":"c","built":1}'],
    )
    with pytest.raises(TableError, match=r"there is no table extracted\.planes"):
        run(spark, lake, flights)
    land("raw.planes", 1, [b'{"tail":"a","year":1}', b'{"tail":"a","year":1}', b'{"year":2}'])
    run(spark, lake, rules(PLANES).tables[0])

    done = run(spark, lake, flights)

    assert done == Extracted(5, 3, 2, {"check:known": 2})
    lost = read_table(spark, lake, TableName.parse("quarantine.flights")).orderBy("_offset").collect()
    assert [(row["_offset"], row["message"]) for row in lost] == [(n, "plane does not pass; it is masked") for n in (1, 4)]
    pinned = lake.facts(flights.into, "test")["rules"]["references"]
    land("raw.planes", 2, [b'{"tail":"c","year":1}'])
    run(spark, lake, rules(PLANES).tables[0])
    assert preview(spark, lake, keyed(flights, pinned), records=10).after == Outcome({"flight": 3}, {"check:known": 2})
    assert preview(spark, lake, keyed(flights), records=10).after == Outcome({"flight": 4}, {"check:known": 1})


def test_a_key_that_cannot_be_compared_is_refused(spark, lake, land, rules) -> None:
    for table in ("planes", "flights"):
        land(f"raw.{table}", 1, [b"{}"])
    run(spark, lake, rules(PLANES).tables[0])

    for change, said in (
        ("references: [tail, nosuch]", r"extracted\.planes has no column nosuch: tail, year"),
        ("references: [year, tail]", "plane is a string and its counterpart in extracted.planes a int"),
    ):
        with pytest.raises(RuleError, match=f"extracted.flights: check known: {said}"):
            run(spark, lake, rules(FLIGHTS.replace("CHECK", KNOWN.replace("references: [tail, year]", change))).tables[0])


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (KNOWN.replace("[tail, year]", "[tail]"), "2 columns and 1 references"),
        (KNOWN.replace("extracted.planes", "extracted.flights"), "leads into the table that it is of"),
        (FRESH.replace("column: at", "column: built").replace("SEVERITY", "warn"), "built is a int: freshness is for a date"),
        (FRESH.replace("2h", "2 weeks").replace("SEVERITY", "warn"), "max_age"),
        (FRESH, "severity"),
        (SPREAD.replace("COLUMN", "built, batches: 3, table: extracted.planes"), "not both"),
    ],
)
def test_checks_that_cannot_run_are_refused_when_the_rules_are_read(rules, check: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rules(FLIGHTS.replace("CHECK", check))


def test_old_rows_stop_the_step_or_are_told_and_written(spark, lake, land, rules) -> None:
    def flights(severity: str) -> TableRules:
        return rules(FLIGHTS.replace("CHECK", FRESH.replace("SEVERITY", severity))).tables[0]

    land("raw.flights", 1, [b'{"at":"2025-12-31T22:00:00Z"}', b'{"at":"2025-12-30T00:00:00Z"}', b"{}"])
    assert run(spark, lake, flights("fail")).rows == 3
    land("raw.flights", 2, [b'{"at":"2025-12-31T21:59:00Z"}'])
    said = "check fresh: the newest at is 2025-12-31 21:59:00, 2.0 hours before it was ingested (max_age 2h)"
    with pytest.raises(TableError, match=r"check fresh: the newest at is .* nothing was written"):
        run(spark, lake, flights("fail"))
    assert run(spark, lake, flights("warn")).warnings == (said,)
    assert lake.facts(flights("warn").into, "test")["warnings"] == [said]
    land("raw.flights", 3, [b"{}"])
    assert run(spark, lake, flights("warn")).warnings == ("check fresh: no row has a at, so how old they are cannot be told",)
    land("raw.flights", 4, [b"junk"])
    assert run(spark, lake, flights("fail")) == Extracted(1, 0, 1, {"no_rule": 1})


def test_values_that_are_spread_otherwise_than_before_are_told(spark, lake, land, rules) -> None:
    checks = [
        SPREAD.replace("COLUMN", column).replace("spread", name) for column, name in (("built", "numbers"), ("plane", "names"))
    ]
    flights = rules(FLIGHTS.replace("CHECK", ", ".join(checks))).tables[0]

    def batch(number: int, *, shift: int = 0, planes: str = "abc", rows: int = 600) -> tuple[str, ...]:
        records = [f'{{"built":{n % 97 + shift},"plane":"{planes[n % len(planes)]}"}}'.encode() for n in range(rows)]
        land("raw.flights", number, records)
        return run(spark, lake, flights).warnings

    assert batch(1) == batch(2) == ()
    assert batch(3, shift=200, planes="xyz", rows=40) == ()
    numbers, names = batch(4, shift=50, planes="aab")
    assert numbers.startswith("check numbers: the values of built are spread otherwise than in the last 10 batches: index ")
    assert numbers.endswith("(max 0.25)")
    assert names.startswith("check names: the values of plane are spread otherwise")
