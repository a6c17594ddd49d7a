"""Rules and records that mean harm, or that somebody got wrong: each is refused or quarantined with its reason."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import ConfigError, RuleError
from etl.rules.config import load_rules

STRING = {"type": "string"}
HUGE = 10 * 1024 * 1024
RULES = {
    "catastrophic regex": ({"kind": "regex", "pattern": "(?<x>(a+)+)$"}, "it can backtrack exponentially"),
    "catastrophic choice": ({"kind": "regex", "pattern": "(?<x>(a|a)*b)"}, "it can backtrack exponentially"),
    "pattern of 10 MB": ({"kind": "regex", "pattern": "(?<x>" + "a" * HUGE + ")"}, "more than 10,000"),
    "expression of 10 MB": (
        {"kind": "sql", "columns": ["x"], "fields": {"x": {**STRING, "expression": "x" * HUGE}}},
        "the expression has 10,485,760 characters",
    ),
    "pattern that names itself": ({"kind": "regex", "pattern": "%{X:%{X}}"}, "no pattern named"),
    "path that is none": ({"kind": "json", "fields": {"x": {**STRING, "path": "$..x"}}}, "is not of the form"),
}


@pytest.mark.parametrize(("rule", "said"), RULES.values(), ids=RULES)
def test_a_harmful_rule_is_refused_when_it_is_read(table_rules, rule: dict, said: str) -> None:
    with pytest.raises(RuleError, match=said) as caught:
        table_rules({"name": "bad", "fields": {"x": STRING}, **rule})
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("text", ["rules: &r [*r]", "tables: &t [{from: raw.a, into: extracted.a, rules: *t}]", "&a a: *a"])
def test_a_file_that_holds_itself_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "loop.yaml"
    file.write_text(f"version: 1\n{text}\n")
    with pytest.raises(ConfigError, match=r"loop\.yaml") as caught:
        load_rules(file)
    assert "\n" not in str(caught.value)


def test_a_check_of_ten_megabytes_is_refused(table_rules) -> None:
    check = {"name": "big", "kind": "expression", "expression": "x" * HUGE}
    with pytest.raises(RuleError, match="check big: the expression has 10,485,760 characters"):
        table_rules({"name": "r", "kind": "json", "fields": {"x": STRING}}, checks=[check])


def test_each_bad_record_is_quarantined_for_its_reason_and_odd_good_ones_are_rows(run, table_rules) -> None:
    zoned = {"type": "timestamp", "timezone": "Europe/Berlin"}
    rules = table_rules(
        {
            "name": "row",
            "kind": "sql",
            "columns": ["x", "n", "d", "t", "none"],
            "when": "x IS NULL OR 1 / length(x) > 0",
            "fields": {
                "x": STRING,
                "share": {"type": "double", "expression": "CAST('1' AS INT) / CAST(n AS INT)"},
                "d": {"type": "double"},
                "t": zoned,
                "none": {"type": "int"},
            },
        },
        checks=[{"name": "part", "kind": "expression", "expression": "1 / (share - 1) < 9"}],
    )
    cases = [
        ('{"x":"a\'; DROP TABLE x; --","n":"2"}', None),
        ("not json", "no_rule"),
        ('"a text"', "no_rule"),
        ('{"x":""}', "no_rule"),
        ('{"n":"0"}', "bad_cast"),
        ('{"n":"1"}', "check:part"),
        ('{"d":"1,5"}', "bad_cast"),
        ('{"d":"1.000,5"}', "bad_cast"),
        ('{"t":"2016-12-31T23:59:60Z"}', "bad_cast"),
        ('{"t":"2013-03-31 02:30:00"}', None),
        ('{"t":"2013-10-27 02:30:00"}', None),
        ('{"t":"2013-07-01T00:00:00+05:45"}', None),
        ('{"t":"2013-07-01T00:00:00 America/New_York"}', None),
        ('{"none":null}', None),
        ("{}", None),
    ]

    rows = run(rules, [record.encode() for record, _ in cases])

    assert [row["_problem"] and row["_problem"]["reason"] for row in rows] == [reason for _, reason in cases]
    assert rows[0]["x"] == "a'; DROP TABLE x; --"
    assert {row["none"] for row in rows} == {None}
    assert [row["t"].astimezone(UTC) for row in rows if row["t"]] == [
        datetime(2013, 3, 31, 1, 30, tzinfo=UTC),
        datetime(2013, 10, 27, 0, 30, tzinfo=UTC),
        datetime(2013, 6, 30, 18, 15, tzinfo=UTC),
        datetime(2013, 7, 1, 4, tzinfo=UTC),
    ]
