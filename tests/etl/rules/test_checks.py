"""Checks of rows: what fails is quarantined under the check's name."""

from datetime import date

import pytest

from core.errors import ConfigError, RuleError

FIELDS = {
    "n": {"type": "double"},
    "small": {"type": "int"},
    "code": {"type": "string"},
    "day": {"type": "date"},
}
RULE = {"name": "row", "kind": "json", "fields": FIELDS}
CHECKS = [
    {"name": "low", "kind": "range", "column": "n", "min": 0},
    {"name": "both", "kind": "range", "column": "small", "min": -1, "max": 1.5},
    {"name": "after", "kind": "range", "column": "day", "min": date(2013, 1, 1)},
    {"name": "codes", "kind": "set", "column": "code", "values": ["EWR", "JF K", "it's"]},
    {"name": "form", "kind": "pattern", "column": "code", "pattern": "[A-Z]+|it's"},
    {"name": "sum", "kind": "expression", "expression": "n / small > 1 OR n IS NULL"},
    {"name": "there", "kind": "not_null", "columns": ["n", "code"]},
]


def test_a_row_fails_the_first_check_that_it_does_not_pass_and_null_passes_all_but_not_null(run, table_rules) -> None:
    records = {
        b'{"n":9,"small":1,"code":"EWR","day":"2013-01-01"}': None,
        b'{"n":-1}': "n is -1.0, outside 0 to …",
        b'{"n":"NaN"}': "n is NaN, outside 0 to …",
        b'{"small":2}': "small is 2, outside -1 to 1.5",
        b'{"day":"2012-12-31"}': "day is 2012-12-31, outside 2013-01-01 to …",
        b'{"code":"LGA"}': "code is LGA, none of EWR, JF K, it's",
        b'{"code":"JF K"}': "code is JF K, not of the form asked for",
        b'{"n":1,"small":1,"code":"EWR"}': "not n / small > 1 OR n IS NULL",
        b'{"n":1,"small":0,"code":"EWR"}': "not n / small > 1 OR n IS NULL",
        b'{"n":9,"small":1}': "code is null",
        b"{}": "n, code is null",
    }

    rows = run(table_rules(RULE, checks=CHECKS), list(records))

    assert [r["_problem"] and r["_problem"]["message"] for r in rows] == list(records.values())
    reasons = [None, "low", "low", "both", "after", "codes", "form", "sum", "sum", "there", "there"]
    assert [r["_problem"] and r["_problem"]["reason"] for r in rows] == [name and f"check:{name}" for name in reasons]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"kind": "range", "column": "nn", "min": 1}, "names field 'nn', which no rule fills: did you mean 'n'"),
        ({"kind": "range", "column": "n"}, "a range needs min, max or both"),
        ({"kind": "range", "column": "code", "min": 1}, "code is a string: a range has numbers"),
        ({"kind": "set", "column": "small", "values": ["a"]}, "small is a int: a set lists"),
        (
            {"kind": "pattern", "column": "code", "pattern": "(a+)+"},
            "check bad: pattern, position 0: it can backtrack exponentially",
        ),
        ({"kind": "pattern", "column": "n", "pattern": "a"}, "a pattern is for a string"),
        ({"kind": "between", "column": "n"}, "'between'"),
    ],
)
def test_a_check_that_cannot_run_is_refused_when_the_rules_are_read(table_rules, check: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(").replace("+", r"\+")):
        table_rules(RULE, checks=[{"name": "bad", **check}])


def test_sql_of_a_check_is_verified_against_the_fields(run, table_rules) -> None:
    rules = table_rules(RULE, checks=[{"name": "odd", "kind": "expression", "expression": "total > 0"}])

    with pytest.raises(RuleError, match=r"check odd.*UNRESOLVED_COLUMN"):
        run(rules, [])
