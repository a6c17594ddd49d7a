"""Rules are tried on the examples beside them, and explained on one record."""

import pytest

from core.errors import ConfigError, TableError
from etl.examples import try_examples
from etl.explain import Verdict, explain
from etl.extract import extract

RULES = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules:
      - {name: big, kind: regex, pattern: '(?<key>\w+)=(?<number>\d+)', when: "length(value) > 5",
         fields: {key: {type: string}, number: {type: int}}}
      - {name: pair, kind: regex, pattern: '(?<key>\w+)=(?<number>\w+)( at (?<at>\S+))?( (?<ok>yes|no))?',
         fields: {key: {type: string}, number: {type: int}, at: {type: timestamp}, ok: {type: boolean}}}
      - {name: half, kind: regex, pattern: '(?<key>\w+)~(?<part>[\d.]+)', fields: {key: {type: string}, part: {type: double}}}
    checks:
      - {name: small, kind: range, column: number, max: 100}
"""
EXAMPLES = """    examples:
      - {record: 'a=1', rule: pair, gives: {key: a, number: 1, at: null}}
      - {record: 'a=1 at 2026-01-02T03:04:05Z yes', gives: {at: 2026-01-02T03:04:05Z, ok: true}}
      - {record: 'a~2.50', rule: half, gives: {part: 2.5}}
      - {record: 'a=101', quarantined: 'check:small'}
      - {record: junk, quarantined: no_rule}
"""
WRONG = """    examples:
      - {record: 'a=1', rule: half, gives: {}}
      - {record: 'a=1', gives: {number: 2}}
      - {record: 'a=x', gives: {key: a}}
      - {record: 'a=1', quarantined: no_rule}
      - {record: junk, quarantined: not_utf8}
      - {record: 'a=1 at 2026-01-02T03:04:05Z', gives: {at: 2026-01-02T03:04:06Z}}
"""


def test_examples_that_come_out_otherwise_are_named_with_what_they_become(spark, rules) -> None:
    plain, right, wrong = (rules(RULES + more).tables[0] for more in ("", EXAMPLES, WRONG))

    assert try_examples(spark, plain) == try_examples(spark, right) == []
    assert [line.split(": ", 2)[2] for line in try_examples(spark, wrong)] == [
        "should be taken by rule half, and is by pair",
        "field number should be 2, and is 1",
        "should be a row, and goes to quarantine: bad_cast: field number: 'x' is not an int",
        "should go to quarantine for no_rule, and is a row of rule pair",
        "should go to quarantine for not_utf8, and goes there for no_rule",
        "field at should be 2026-01-02 03:04:06+00:00, and is 2026-01-02 03:04:05",
    ]
    # and examples are no part of what the rules are
    assert plain.rule_set == right.rule_set
    assert plain.to_json() == right.to_json()


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ("{record: a, gives: {nosuch: 1}}", "example 'a' names field 'nosuch', which no rule fills"),
        ("{record: a, rule: nosuch, gives: {}}", "names rule 'nosuch': there are: big, pair, half"),
        ("{record: a}", "an example has either 'gives', the values of fields, or 'quarantined', a reason"),
    ],
)
def test_an_example_that_says_nothing_that_can_be_tried_is_refused(rules, example: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rules(f"{RULES}    examples: [{example}]\n")


def test_one_record_is_explained_by_every_rule_alone(spark, lake, land, rules) -> None:
    table = rules(RULES).tables[0]
    land("raw.lines", 1, [b"a=1", b"a=101"])
    extract(spark, lake, table, app="test")

    found = explain(spark, lake, table, "batch-1", 1)

    assert (found.batch, found.record) == (1, b"a=101")
    assert found.whole.rule == "pair"
    assert found.whole.problem == "check:small: number is 101, outside … to 100"
    big, pair, half = found.rules
    assert (big.rule, big.unmet) == (None, True)
    assert pair == Verdict("pair", "pair", '{"key":"a","number":101,"at":null,"ok":null}', None)
    assert (half.rule, half.problem, half.unmet) == (None, "no_rule: no rule takes the record 'a=101'", False)
    with pytest.raises(TableError, match=r"raw\.lines has no record of source 'batch-1' at offset 9: `maas quarantine show`"):
        explain(spark, lake, table, "batch-1", 9)
