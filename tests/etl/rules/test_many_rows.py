"""Records that give several rows: by several rules, or by the items of an array."""

import pytest

from core.errors import RuleError

STRING = {"type": "string"}
PAIR = {"name": "pair", "kind": "regex", "pattern": "(?<key>[a-z]+)=(?<n>.*)", "fields": {"key": STRING, "n": {"type": "int"}}}
KEY = {
    "name": "key",
    "kind": "regex",
    "pattern": "(?<key>[a-z]+)(?<kind>!?).*",
    "fields": {"key": STRING, "kind": {**STRING, "default": "k"}},
}
ORDER = {
    "name": "order",
    "kind": "json",
    "explode": "$.order.items",
    "fields": {
        "id": {"type": "int", "path": "$.order.id", "required": True},
        "sku": {"type": "string", "path": "@.sku"},
        "n": {"type": "int", "path": "@.count[0]"},
    },
}


def problems(rows) -> list[str | None]:
    return [row["_problem"] and f"{row['_problem']['reason']} {row['_problem']['message']}" for row in rows]


def test_each_rule_that_takes_a_record_makes_a_row_and_one_bad_row_sends_the_whole_record_to_quarantine(run, table_rules) -> None:
    row = {"name": "sql", "kind": "sql", "columns": ["a"], "fields": {"n": {"type": "int", "expression": "length(a)"}}}
    also = {"name": "also", "kind": "json", "fields": {"key": {**STRING, "path": "$.a"}}}
    small = {"name": "small", "kind": "range", "column": "n", "max": 9}

    rows = run(
        table_rules(PAIR, KEY, row, also, match="all", checks=[small]),
        [b"a=1", b"b", b"c=x", b"d=10", b"?", b"\xff", None, b'{"a":"xyz"}'],
    )

    assert [(r["_offset"], r["_at"], r["_rule"], r["key"], r["n"], r["kind"]) for r in rows if r["_problem"] is None] == [
        (0, 0, "pair", "a", 1, None),
        (0, 1, "key", "a", None, "k"),
        (1, 0, "key", "b", None, "k"),
        (7, 0, "sql", None, 3, None),
        (7, 1, "also", "xyz", None, None),
    ]
    bad = [r for r in rows if r["_problem"]]
    assert [(r["_offset"], r["_at"], r["_rule"], r["_problem"]["reason"]) for r in bad] == [
        (2, 0, "pair", "bad_cast"),
        (3, 0, "pair", "check:small"),
        (4, 0, None, "no_rule"),
        (5, 0, None, "not_utf8"),
        (6, 0, None, "tombstone"),
    ]
    assert [bytes(r["_raw"]) for r in bad[:4]] == [b"c=x", b"d=10", b"?", b"\xff"]
    assert [r["_raw"] is not None for r in rows[:3]] == [True, False, True]


def test_each_item_of_an_array_gives_a_row_with_the_fields_of_the_record(run, table_rules) -> None:
    records = [
        b'{"order":{"id":1,"items":[{"sku":"a","count":[2,3]},{"sku":"b"},{}]}}',
        b'{"order":{"id":2,"items":[]}}',
        b'{"order":{"id":3}}',
        b'{"order":{"items":[{"sku":"a"},{"sku":"b"}]}}',
        b'{"order":{"id":4,"items":[{"sku":"a"},{"count":["x"]},{"count":["y"]}]}}',
        b"pair=5",
        b'{"order":{"id":5,"items":[{"sku":"a"},7]}}',
        b'{"order":{"id":6,"items":{"sku":"a"}}}',
    ]

    rows = run(table_rules(ORDER, PAIR), records)

    assert [(r["id"], r["_at"], r["sku"], r["n"]) for r in rows if r["_problem"] is None] == [
        (1, 0, "a", 2),
        (1, 1, "b", None),
        (1, 2, None, None),
        (2, 0, None, None),
        (3, 0, None, None),
        (None, 0, None, 5),
    ]
    assert problems([r for r in rows if r["_problem"]])[2:] == [
        f"no_rule no rule takes the record {r.decode()!r}" for r in records[6:]
    ]
    assert problems([r for r in rows if r["_problem"]])[:2] == [
        "missing_field field id is missing",
        "bad_cast field n: 'x' is not an int",
    ]


def test_items_may_be_values_and_records_of_many_items_are_read_whole(run, table_rules) -> None:
    rule = {"name": "r", "kind": "json", "explode": "$.a", "fields": {"n": {"type": "int", "path": "@"}}}
    rows = run(table_rules(rule), [f'{{"a":{list(range(20_000))}}}'.encode()])
    assert [row["n"] for row in rows] == list(range(20_000))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"explode": None}, "path '@.sku' is of an item: name their array by 'explode'"),
        ({"explode": "order.items"}, "path 'order.items' is not of the form"),
        ({"explode": "$.order.id"}, "one path leads through"),
        ({"fields": {"id": STRING}}, "no field reads an item"),
        ({"fields": {"sku": {**STRING, "path": "@sku"}}}, "path '@sku' is not of the form @.a.b"),
        ({"fields": {"sku": {**STRING, "path": "@.sku"}, "x": {**STRING, "path": "$.order.items.n"}}}, "takes key 'n'"),
    ],
)
def test_paths_that_do_not_fit_the_array_are_refused(table_rules, change: dict, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        table_rules({**ORDER, **change})
