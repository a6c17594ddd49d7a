"""Records of pairs: what is read, what is refused."""

import pytest

from core.errors import ConfigError, RuleError

STRING = {"type": "string"}


def pairs(table_rules, *names: str, **rule):
    fields = dict.fromkeys(names, STRING)
    return table_rules({"name": "pairs", "kind": "keyvalue", "fields": fields, **rule})


def read(rows, *names: str) -> list[tuple[str | None, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_pairs_between_white_space_are_read_in_any_order_and_quoted_values_may_hold_what_separates(run, table_rules) -> None:
    records = [
        b"level=info msg=up n=1",
        b'  msg="it is \\"up\\" = ok \\\\"\tlevel=warn  ',
        b"level=a=b msg=",
        b'level="" n=x other=2',
        "level=naïve☃".encode(),
        b"level=first level=second",
    ]

    rows = run(pairs(table_rules, "level", "msg", "n"), records)

    assert read(rows, "level", "msg", "n") == [
        ("info", "up", "1"),
        ("warn", 'it is "up" = ok \\', None),
        ("a=b", None, None),
        (None, None, "x"),
        ("naïve☃", None, None),
        ("first", None, None),
    ]
    assert [row["_problem"] for row in rows] == [None] * len(records)


@pytest.mark.parametrize(
    "record", [b"", b"  ", b"no pairs", b"a=1 rest", b"rest a=1", b'a="1', b'a="1"2', b"=1", b'"a"=1', b"a = 1", b"{}"]
)
def test_a_record_that_is_more_than_pairs_is_not_taken(run, table_rules, record: bytes) -> None:
    (row,) = run(pairs(table_rules, "a"), [record])
    assert row["_rule"] is None
    assert row["_problem"]["reason"] == "no_rule"


def test_separators_of_ones_own_let_values_hold_spaces(run, table_rules) -> None:
    rules = pairs(table_rules, "a", "b", separator=";", assign=":")

    rows = run(rules, [b"a: one two ; b:3;", b'b:"x;y:z" ;a:', b"a:1;;b:2", b"a:1;x;b:2", b"a:1,b:2"])

    assert read(rows[:2], "a", "b") == [("one two", "3"), (None, "x;y:z")]
    assert [row["_problem"] and row["_problem"]["reason"] for row in rows] == [None, None, None, "no_rule", None]
    assert rows[4]["a"] == "1,b:2"


def test_a_tab_may_stand_between_pairs(run, table_rules) -> None:
    (row,) = run(pairs(table_rules, "a", "b", separator="\t"), [b"a=one two\tb=3"])
    assert (row["a"], row["b"]) == ("one two", "3")


def test_a_field_may_be_called_otherwise_than_its_key_and_has_a_type(run, table_rules) -> None:
    rule = {"name": "p", "kind": "keyvalue", "fields": {"status": {"type": "int", "key": "http.status", "required": True}}}

    rows = run(table_rules(rule), [b"http.status=200", b"http.status=ok", b"x=1"])

    assert [(r["status"], r["_problem"] and r["_problem"]["reason"]) for r in rows] == [
        (200, None),
        (None, "bad_cast"),
        (None, "missing_field"),
    ]


def test_records_of_megabytes_end_in_good_time(run, table_rules) -> None:
    many = b" ".join(b"k%d=%d" % (i, i) for i in range(100_000))
    records = [
        b"a=" + b"x" * 5_000_000,
        b'a="' + b"\\\\" * 5_000,
        b"a" * 5_000_000,
        b"a=1" + b" " * 500_000 + b"x",
        many + b" a=1",
    ]

    rows = run(pairs(table_rules, "a"), records)

    assert [row["a"] and len(row["a"]) for row in rows] == [5_000_000, None, None, None, 1]


def test_named_patterns_read_a_web_servers_log(run, table_rules) -> None:
    fields = {
        "client": STRING,
        "time": {"type": "timestamp", "format": "dd/MMM/yyyy:HH:mm:ss Z"},
        "status": {"type": "int"},
        "bytes": {"type": "long"},
        "agent": STRING,
    }
    rule = {"name": "combined", "kind": "regex", "pattern": "%{COMBINEDLOG}", "fields": fields}

    (row,) = run(table_rules(rule), [b'::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 404 - "-" "curl/8 \\"x\\""'])

    assert row["_problem"] is None
    assert (row["client"], row["status"], row["bytes"], row["agent"]) == ("::1", 404, None, 'curl/8 \\"x\\"')
    assert row["time"].timestamp() == 971_211_336


def test_the_digest_of_a_rule_set_covers_what_its_named_patterns_stand_for(table_rules) -> None:
    rules = table_rules({"name": "ip", "kind": "regex", "pattern": "%{INT:n}", "fields": {"n": {"type": "int"}}})
    (recorded,) = rules.to_json()["table"]["rules"]
    assert recorded["pattern"] == "(?<n>[+-]?\\d+)"
    again = type(rules).from_json(rules.to_json())
    assert again.to_json() == rules.to_json()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"separator": "="}, "write two signs"),
        ({"assign": '"'}, "neither of them a quote"),
        ({"separator": "ab"}, "at most 1 character"),
    ],
)
def test_signs_that_cannot_be_told_apart_are_refused(table_rules, rule: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pairs(table_rules, "a", **rule)


def test_a_key_that_no_record_can_have_is_refused(table_rules) -> None:
    with pytest.raises(RuleError, match=r"rule p: field 'a': 'a b' cannot be a key"):
        table_rules({"name": "p", "kind": "keyvalue", "fields": {"a": {"type": "string", "key": "a b"}}})
