"""Values for what is missing, and marks for what nobody is to see."""

import hashlib
import hmac
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr
from pyspark.sql import functions as F

from core.config import validate
from core.errors import ConfigError, RuleError
from core.settings import RulesSettings
from etl.rules.compile import classify
from etl.rules.config import RuleFile, TableRules, read_rules

KEY = "a key that was made by chance"
STRING = {"type": "string"}
PEOPLE = {
    "name": "people",
    "kind": "json",
    "fields": {
        "mail": {**STRING, "mask": "hash"},
        "card": {**STRING, "mask": "last4"},
        "word": {**STRING, "mask": "redact", "required": True},
        "n": {"type": "int"},
    },
}
CHECKS = [
    {"name": "form", "kind": "pattern", "column": "mail", "pattern": "[^@]+@.+"},
    {"name": "few", "kind": "range", "column": "n", "max": 9},
]


def keyed(rules: TableRules, key: str = KEY) -> TableRules:
    return TableRules(rules.config, rules.rule_set, {"default": SecretStr(key)})


def test_what_is_missing_has_the_default_of_the_rule_that_took_the_record_and_what_is_damaged_has_not(run, table_rules) -> None:
    fields = {
        "s": {**STRING, "default": "none"},
        "i": {"type": "int", "default": -1},
        "l": {"type": "long", "default": 2**40},
        "d": {"type": "double", "default": 1},
        "b": {"type": "boolean", "default": False},
        "day": {"type": "date", "default": date(2013, 1, 2)},
        "at": {"type": "timestamp", "default": "2013-01-02T03:04:05+01:00"},
    }
    rules = table_rules(
        {"name": "first", "kind": "json", "when": "value LIKE '%first%'", "fields": fields},
        {"name": "row", "kind": "sql", "columns": ["i", "s"], "when": "s IS NULL OR s <> 'last'",
         "fields": {"i": {"type": "int", "default": 7, "expression": "CAST(i AS INT) + 1"}, "s": STRING}},
        {"name": "last", "kind": "json", "fields": {"b": {"type": "boolean"}}},
    )  # fmt: skip

    rows = run(rules, [b'{"x":"first"}', b'{"x":"first","s":"","i":"x"}', b'{"i":1}', b"{}", b'{"i":"x"}', b'{"s":"last"}'])

    names = ("s", "i", "l", "d", "b", "day")
    assert [tuple(row[name] for name in names) for row in rows if row["_problem"] is None] == [
        ("none", -1, 2**40, 1.0, False, date(2013, 1, 2)),
        (None, 2, None, None, None, None),
        (None, 7, None, None, None, None),
        (None, None, None, None, None, None),
    ]
    assert rows[0]["at"].astimezone(UTC) == datetime(2013, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert [row["_problem"] and row["_problem"]["reason"] for row in rows] == [None, "bad_cast", None, None, "bad_cast", None]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"type": "int", "default": "1"}, "default '1' is no int"),
        ({"type": "int", "default": 2**31}, "is no int"),
        ({"type": "boolean", "default": 1}, "default 1 is no boolean"),
        ({"type": "double", "default": True}, "default True is no double"),
        ({"type": "date", "default": "2013-02-29"}, "default '2013-02-29' is no date"),
        ({"type": "timestamp", "default": "noon"}, "is no timestamp"),
        ({"type": "string", "default": "x", "required": True}, "a required field has no default"),
        ({"type": "int", "mask": "hash"}, "a int cannot be masked: make the field a string"),
        ({"type": "string", "mask": "rot13"}, "'redact', 'hash' or 'last4'"),
    ],
)
def test_a_default_of_another_type_and_a_mask_that_cannot_be_are_refused(table_rules, field: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table_rules({"name": "r", "kind": "json", "fields": {"x": field}})


def test_defaults_and_masks_survive_the_trip_through_a_commit_and_keys_stay_behind(table_rules) -> None:
    fields = {"x": {**STRING, "mask": "hash"}, "at": {"type": "timestamp", "default": datetime(2013, 1, 1, tzinfo=UTC)}}
    rules = keyed(table_rules({"name": "r", "kind": "json", "fields": fields}))

    assert TableRules.from_json(rules.to_json()) == rules
    assert KEY not in f"{rules.to_json()} {rules!r}"
    assert rules.rule_set == keyed(rules, KEY[::-1]).rule_set


def test_the_table_holds_masks_and_checks_see_the_texts(run, table_rules) -> None:
    records = [
        b'{"mail":"a@x","card":"4111111111111111","word":"secret","n":1}',
        '{"mail":"☃@x","card":"1234567","word":"s"}'.encode(),
        b'{"word":"s"}',
    ]

    rows = run(keyed(table_rules(PEOPLE, checks=CHECKS)), records)

    assert [row["_problem"] for row in rows] == [None] * 3
    assert [(row["card"], row["word"]) for row in rows] == [("***1111", "***"), ("***", "***"), (None, "***")]
    expected = [hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest() for text in ("a@x", "☃@x")]
    assert [row["mail"] for row in rows] == [*expected, None]


def test_a_key_longer_than_a_block_is_a_key_as_well(spark, table_rules) -> None:
    long = KEY * 5
    rules = keyed(
        table_rules({"name": "r", "kind": "regex", "pattern": "(?<x>.*)", "fields": {"x": {**STRING, "mask": "hash"}}}), long
    )
    raw = spark.sql(
        "SELECT 'f' _source, 0L _offset, 1L _batch, now() _ingested_at, CAST(NULL AS BINARY) _header, CAST('a' AS BINARY) value"
    )
    (row,) = classify(raw, rules).collect()
    assert row["x"] == hmac.new(long.encode(), b"a", hashlib.sha256).hexdigest()


def test_no_message_quotes_what_is_masked_and_raw_bytes_are_left_out_where_the_rules_say_so(run, table_rules) -> None:
    records = [
        b'{"mail":"hidden","word":"s"}',
        b'{"mail":"hidden@x","word":"s","n":10}',
        b'{"mail":"hidden@x"}',
        b"hidden hidden",
        b"hidden\xff",
    ]

    rows = run(keyed(table_rules(PEOPLE, checks=CHECKS, quarantine_raw="dropped")), records)

    assert [row["_problem"]["message"] for row in rows] == [
        "mail does not pass; it is masked",
        "n is 10, outside … to 9",
        "field word is missing",
        "no rule takes the record",
        "the record is not UTF-8",
    ]
    assert "hidden" not in str([row.asDict(recursive=True) for row in rows])
    assert [row["_raw"] for row in rows] == [None] * 5


def test_no_plan_shows_the_key(spark, table_rules) -> None:
    raw = spark.createDataFrame(
        [], "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
    )
    found = classify(raw, keyed(table_rules(PEOPLE))).where(F.col("mail").isNotNull())

    plans = found._jdf.queryExecution().toString().lower()

    block = KEY.encode().ljust(64, b"\0")
    pads = [bytes(byte ^ pad for byte in block) for pad in (0, 0x36, 0x5C)]
    assert "sha2" in plans
    for form in (KEY, *(pad.hex() for pad in pads), *(str(list(pad))[1:40] for pad in pads)):
        assert form not in plans


def test_a_key_that_is_missing_or_short_is_named(run, table_rules) -> None:
    with pytest.raises(RuleError, match=r"field mail: .*key 'default', which the settings lack: set 'rules\.keys\.default'"):
        run(table_rules(PEOPLE), [])
    with pytest.raises(ConfigError, match=r"'keys\.default': .* at least 16") as caught:
        validate({"keys": {"default": "swordfish"}}, RulesSettings, "secrets.yaml")
    assert "swordfish" not in str(caught.value)


def test_one_field_is_masked_alike_by_all_rules_and_what_is_not_told_apart_is_no_key(table_rules) -> None:
    plain = {"name": "plain", "kind": "json", "fields": {"mail": STRING}}
    with pytest.raises(ConfigError, match="field 'mail' is masked otherwise in rule 'plain'"):
        table_rules(PEOPLE, plain)
    with pytest.raises(ConfigError, match="check 'once' cannot tell values of 'word' apart"):
        table_rules(PEOPLE, checks=[{"name": "once", "kind": "unique", "columns": ["word"]}])


def test_a_key_of_the_file_that_says_what_goes_without_saying_changes_no_digest() -> None:
    table = {"from": "raw.t", "into": "extracted.t", "rules": [{"name": "r", "kind": "json", "fields": {"x": STRING}}]}
    digests = {
        read_rules("t", validate({"version": 1, "tables": [{**table, **more}]}, RuleFile, "t"), "t").digest
        for more in ({}, {"match": "first"}, {"checks": []}, {"quarantine_raw": "kept"})
    }
    assert len(digests) == 1
