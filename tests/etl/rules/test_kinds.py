"""Each kind of rule on good, odd and damaged records."""

from datetime import UTC, date, datetime

import pytest

from core.errors import RuleError


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def instant(value):
    """Spark hands timestamps over as wall clocks of the machine's own time zone."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def reasons(rows) -> list[str | None]:
    return [row["_problem"] and row["_problem"]["reason"] for row in rows]


def messages(rows) -> list[str | None]:
    return [row["_problem"] and row["_problem"]["message"] for row in rows]


def test_a_value_that_holds_the_mark_between_groups_is_still_read_whole(run, table_rules) -> None:
    rule = {
        "name": "pair",
        "kind": "regex",
        "pattern": "(?<a>[^=]*)=(?<b>.*)",
        "fields": {"a": {"type": "string"}, "b": {"type": "string"}},
    }

    rows = run(table_rules(rule), [b"x\x01y=\x01\x01", b"\x01=", b"$1=\\2", b"\x01"])

    assert [(r["a"], r["b"]) for r in rows[:3]] == [("x\x01y", "\x01\x01"), ("\x01", None), ("$1", "\\2")]
    assert reasons(rows) == [None, None, None, "no_rule"]


def test_a_record_of_ten_megabytes_is_read_or_refused_like_any_other(run, table_rules) -> None:
    plain = {
        "name": "all",
        "kind": "regex",
        "pattern": r"(?<head>\S+) (?<rest>.*)",
        "fields": {"head": {"type": "string"}, "rest": {"type": "string"}},
    }
    looping = {"name": "words", "kind": "regex", "pattern": r"(?<words>(?:\w+ )*\w+)", "fields": {"words": {"type": "string"}}}
    huge = b"x " + b"y" * 10_000_000

    taken = run(table_rules(plain), [huge])
    refused = run(table_rules(looping), [huge, b"a b c"])

    assert len(taken[0]["rest"]) == 10_000_000
    assert reasons(refused) == ["no_rule", None]
    assert "longer than the 1,000 characters" in messages(refused)[0]


def test_the_first_rule_that_takes_a_record_reads_it_and_later_ones_read_the_rest(run, table_rules) -> None:
    number = {"type": "int", "required": True}
    rules = table_rules(
        {"name": "json", "kind": "json", "when": "value LIKE '{%'", "fields": {"n": number, "at": {"type": "timestamp"}}},
        {"name": "short", "kind": "regex", "pattern": r"(?<n>\d+)", "fields": {"n": {"type": "int"}}},
        {
            "name": "dated",
            "kind": "regex",
            "pattern": r"(?<n>\w+)@(?<at>.+)",
            "fields": {"n": {"type": "int"}, "at": {"type": "timestamp", "format": "dd.MM.yyyy HH:mm"}},
        },
    )

    rows = run(
        rules, [b'{"n":1,"at":"2013-01-01T00:00:00Z"}', b"2", b"3@31.12.2013 23:59", b'{"at":null}', b"x@31.12.2013 23:59", b"?"]
    )

    assert [(r["_rule"], r["n"], instant(r["at"])) for r in rows[:3]] == [
        ("json", 1, utc(2013, 1, 1)),
        ("short", 2, None),
        ("dated", 3, utc(2013, 12, 31, 23, 59)),
    ]
    assert reasons(rows) == [None, None, None, "missing_field", "bad_cast", "no_rule"]


def test_sql_sees_declared_columns_as_texts_and_a_row_on_which_it_fails_is_quarantined(run, table_rules) -> None:
    rule = {
        "name": "row",
        "kind": "sql",
        "columns": ["id", "dep", "dist", "day"],
        "when": "id <> '9'",
        "fields": {
            "id": {"type": "long", "required": True},
            "hour": {"type": "int", "expression": "CAST(dep AS INT) DIV 100"},
            "speed": {"type": "double", "expression": "CAST(dist AS INT) / CAST(dep AS INT)"},
            "day": {"type": "date", "expression": "to_date(day, 'yyyy-MM-dd')"},
            "label": {"type": "string", "expression": "concat(dep, '/', dist)", "null_values": ["0/0"]},
        },
    }
    records = [
        b'{"id":"1","dep":"517","dist":"1034","day":"2013-01-31"}',
        b'{"id":"2","dep":null,"dist":null,"day":null}',
        b'{"id":"x","dep":"1","dist":"1","day":null}',
        b'{"id":"3","dep":"0","dist":"1","day":null}',
        b'{"id":"4","dep":"noon","dist":"1","day":null}',
        b'{"id":"5","dep":"1","dist":"1","day":"2013-02-30"}',
        b'{"id":"9","dep":"1","dist":"1"}',
        b'{"id":"6","dep":"1"',
    ]

    rows = run(table_rules(rule), records)

    assert tuple(rows[0][n] for n in ("id", "hour", "speed", "day", "label")) == (1, 5, 2.0, date(2013, 1, 31), "517/1034")
    assert tuple(rows[1][n] for n in ("id", "hour", "speed", "day", "label")) == (2, None, None, None, None)
    assert reasons(rows) == [None, None, "bad_cast", "bad_cast", "bad_cast", "bad_cast", "no_rule", "no_rule"]
    assert messages(rows)[2:6] == [
        "field id: 'x' is not a long",
        "field speed: its expression fails on this row",
        "field hour: its expression fails on this row",
        "field day: its expression fails on this row",
    ]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("id; DROP TABLE x", "PARSE_SYNTAX_ERROR"),
        ("idd", "UNRESOLVED_COLUMN"),
        ("(SELECT max(id) FROM range(3))", "reads a table"),
        ("count(id)", "more than a function of one row"),
        ("explode(array(id))", "more than a function of one row"),
        ("rand()", "gives another answer each time"),
        ("java_method('java.lang.System', 'exit', 0)", "calls Java"),
        ("current_timestamp()", "depends on when"),
        ("x" * 20_000, "20,000 characters"),
    ],
)
def test_sql_that_is_no_function_of_the_row_is_refused_before_it_runs(run, table_rules, expression: str, said: str) -> None:
    rule = {"name": "row", "kind": "sql", "columns": ["id"], "fields": {"n": {"type": "string", "expression": expression}}}

    with pytest.raises(RuleError, match=said) as caught:
        run(table_rules(rule), [])

    assert "rule row: field" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_csv_record_is_read_by_its_columns_and_ragged_or_unclosed_ones_are_refused(run, table_rules) -> None:
    rule = {
        "name": "plane",
        "kind": "delimited",
        "columns": ["tail", "Year", "year"],
        "fields": {
            "tail": {"type": "string", "required": True},
            "built": {"type": "int", "column": "year", "null_values": ["NA", ""]},
        },
    }
    records = [
        b"N1,x,2004",
        b'"N,""1""",x,NA',
        b'"N\n1",x,2004\r',
        b"N1,x",
        b"N1,x,2004,y",
        b'N1,"x,2004',
        b",x,2004",
        b"N1,x,20o4",
        b"\xe9,x,1",
    ]

    rows = run(table_rules(rule), records, b"tail,Year,year")

    assert [(r["tail"], r["built"]) for r in rows[:3]] == [("N1", 2004), ('N,"1"', None), ("N\n1", 2004)]
    assert reasons(rows) == [None, None, None, "no_rule", "no_rule", "no_rule", "missing_field", "bad_cast", "not_utf8"]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"a,b\r\n", None),
        ('\ufeff"a","b"'.encode(), None),
        (b"b,a", "header_mismatch"),
        (b"a,b,c", "header_mismatch"),
        (b"\xff", "header_mismatch"),
        (None, "header_mismatch"),
    ],
)
def test_a_file_with_another_header_is_not_read_by_guesswork(run, table_rules, header: bytes | None, reason: str | None) -> None:
    rule = {"name": "row", "kind": "delimited", "columns": ["a", "b"], "fields": {"a": {"type": "int"}, "b": {"type": "int"}}}

    rows = run(table_rules(rule), [b"1,2"], header)

    assert reasons(rows) == [reason]


def test_texts_become_values_of_each_type_or_a_reason_that_names_field_and_value(run, table_rules) -> None:
    kinds = ("boolean", "int", "long", "double", "date", "timestamp")
    fields = {f"a_{kind}": {"type": kind} for kind in kinds}
    rule = {"name": "row", "kind": "json", "fields": fields}
    good = [
        ("a_boolean", '"true"', True),
        ("a_int", '"+12"', 12),
        ("a_int", "-2147483648", -(2**31)),
        ("a_long", '" 9007199254740993 "', 9007199254740993),
        ("a_double", "1e3", 1000.0),
        ("a_double", '"-Infinity"', float("-inf")),
        ("a_date", '"2012-02-29"', date(2012, 2, 29)),
        ("a_timestamp", '"2013-01-01T05:17:00.5-05:00"', utc(2013, 1, 1, 10, 17, 0, 500_000)),
        ("a_timestamp", '"2013-01-01"', utc(2013, 1, 1)),
    ]
    bad = [
        ("a_boolean", '"maybe"'),
        ("a_int", '"1.5"'),
        ("a_int", "2147483648"),
        ("a_long", '"1_000"'),
        ("a_long", '"\\u0661"'),
        ("a_double", '"1,5"'),
        ("a_double", '"12d"'),
        ("a_double", '"1F"'),
        ("a_date", '"2013-02-29"'),
        ("a_date", '"2013"'),
        ("a_date", '"2013-01-01 junk"'),
        ("a_timestamp", '"12:00"'),
        ("a_timestamp", '"2013"'),
        ("a_timestamp", '"2013-06-30T23:59:60Z"'),
        ("a_timestamp", '"2013-01-01T25:00:00"'),
    ]

    rows = run(table_rules(rule), [f'{{"{name}":{text}}}'.encode() for name, text, *_ in [*good, *bad]])

    assert [instant(row[name]) for row, (name, _, _) in zip(rows, good, strict=False)] == [value for *_, value in good]
    assert reasons(rows) == [None] * len(good) + ["bad_cast"] * len(bad)
    assert all(m.startswith(f"field {name}: '") for m, (name, _) in zip(messages(rows)[len(good) :], bad, strict=True))


def test_a_wall_clock_is_read_in_its_time_zone_through_gaps_and_overlaps_of_summer_time(run, table_rules) -> None:
    zone = {"type": "timestamp", "timezone": "America/New_York"}
    rules = table_rules({"name": "row", "kind": "json", "fields": {"iso": zone, "us": {**zone, "format": "MM/dd/yyyy HH:mm"}}})
    clocks = {
        "2013-01-01 00:00": utc(2013, 1, 1, 5),
        "2013-07-01T00:00": utc(2013, 7, 1, 4),
        "2013-03-10 01:59": utc(2013, 3, 10, 6, 59),
        "2013-03-10 02:30": utc(2013, 3, 10, 7, 30),
        "2013-11-03 01:30": utc(2013, 11, 3, 5, 30),
        "2013-11-03 02:00": utc(2013, 11, 3, 7),
    }
    offsets = {"2013-07-01T00:00:00Z": utc(2013, 7, 1), "2013-07-01 00:00:00+02:00": utc(2013, 6, 30, 22)}

    records = [f'{{"iso":"{text}","us":"{text[5:7]}/{text[8:10]}/2013 {text[11:16]}"}}'.encode() for text in clocks]
    rows = run(rules, [*records, *(f'{{"iso":"{text}"}}'.encode() for text in offsets)])

    assert [instant(row["iso"]) for row in rows] == [*clocks.values(), *offsets.values()]
    assert [instant(row["us"]) for row in rows[: len(clocks)]] == list(clocks.values())


def test_json_that_is_damaged_or_followed_by_anything_is_not_taken(run, table_rules) -> None:
    rule = {"name": "row", "kind": "json", "fields": {"a": {"type": "string"}, "b": {"type": "string", "path": "$.x.y"}}}
    damaged = [
        b'{"a":1',
        b'{"a":1} x',
        b'{"a":1}{"a":2}',
        b'{"a":1}}',
        b"{'a':1}",
        b'{"a":NaN}',
        b"[]",
        b"7",
        b"null",
        b"",
        b"{}}",
        b'{"a":1,}',
    ]

    rows = run(table_rules(rule), [b' {"a":[1,{"k":null}]} ', b"{}", b'{"a":"x\\u0000y","x":7}', *damaged])

    assert [(r["a"], r["b"]) for r in rows[:3]] == [('[1,{"k":null}]', None), (None, None), ("x\x00y", None)]
    assert reasons(rows) == [None] * 3 + ["no_rule"] * len(damaged)
