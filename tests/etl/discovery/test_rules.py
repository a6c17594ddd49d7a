"""Rules that are proposed for a log: what they say, that they can run, and that Spark reads with them what was promised."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import validate
from etl.discovery.proposal import Proposal
from etl.discovery.rules import propose
from etl.discovery.values import reads, type_of, word_for
from etl.rules.compile import classify
from etl.rules.config import RuleFile, TableRules, read_rules
from etl.rules.fields import FieldType

RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"


def job(i: int) -> str:
    return (
        f"2024-05-0{i % 9 + 1} 10:00:{i:02d},250 INFO  worker[{i * 7}]: job {i} done in {i * 1.5:.1f} s user=anna ip=10.0.0.{i}"
    )


def disk(i: int) -> str:
    return f"2024-05-0{i % 9 + 1} 10:00:{i:02d},250 WARN  worker[{i * 7}]: disk /var/d{i} at {i * 10**9} bytes, ok: true"


LOG = [line for i in range(40) for line in (job(i), "idle", disk(i))]


def rule_set(proposal: Proposal) -> TableRules:
    table = {"from": "raw.things", "into": "extracted.things", "rules": [candidate.rule for candidate in proposal.candidates]}
    return read_rules("things", validate({"version": 1, "tables": [table]}, RuleFile, "things.yaml"), "things.yaml").tables[0]


def test_fields_are_named_and_typed():
    first, second, third = propose(LOG).candidates

    assert first.rule["fields"] == {
        "time": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss,SSS"},
        "pid": {"type": "int"},
        "job": {"type": "int"},
        "in": {"type": "double"},
        "user": {"type": "string"},
        "ip": {"type": "string"},
        "level": {"type": "string"},
    }
    assert {name: field["type"] for name, field in second.rule["fields"].items()} == {
        "time": "timestamp",
        "pid": "int",
        "path": "string",
        "at": "long",
        "ok": "boolean",
        "level": "string",
    }
    assert third.rule["pattern"] == "^(?<message>idle)$"


def test_candidates_say_what_speaks_for_them():
    proposal = propose(LOG)

    assert [(c.precision, len(c.examples)) for c in proposal.candidates] == [(1.0, 3), (1.0, 3), (1.0, 1)]
    assert sum(c.coverage for c in proposal.candidates) == pytest.approx(1)
    assert 45 < sum(c.support for c in proposal.candidates) < 75
    assert (proposal.quarantined, proposal.left_out) == (0.0, ())


def test_lines_that_no_rule_foresaw_are_expected_in_quarantine():
    words = [a + b for a in ("apple", "banana", "cherry", "damson") for b in ("tree", "cake", "jam", "juice", "stone")]
    proposal = propose(
        [line for i, word in enumerate(words) for line in (f"job {i} done", f"{word} and {word} only", f"job {i} done")]
    )

    assert proposal.candidates[-1].rule["name"] == "job_done"
    assert 0.15 < proposal.quarantined < 0.5


def test_a_field_has_one_type_in_all_rules():
    proposal = propose([line for i in range(20) for line in (f"sent size={i} bytes", f"kept size={i}.5 of it all")])

    assert {candidate.rule["fields"]["size"]["type"] for candidate in proposal.candidates} == {"double"}
    assert len(rule_set(proposal).rules) == 2


WORDS = [
    "user",
    "a",
    "k=v",
    "7",
    "-3",
    "x=1",
    "/a/b",
    "(4)",
    "[5]",
    "10.0.0.1",
    "12:30:00",
    "2024-01-02",
    "in",
    "\t",
    "$1.5",
    "{6}",
]


@given(lines=st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text(max_size=12), max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_the_lines_the_rules_are_valid_and_take_their_examples(lines):
    proposal = propose(lines)

    for candidate in proposal.candidates:
        assert all(re.fullmatch(candidate.rule["pattern"].replace("(?<", "(?P<"), example) for example in candidate.examples)
        assert 0 <= candidate.precision <= 1
    if proposal.candidates:
        assert len(rule_set(proposal).rules) == len(proposal.candidates)
    assert 0 <= proposal.quarantined <= 1


@pytest.mark.parametrize(
    ("texts", "kind", "word"),
    [
        (["1", "-2", ""], FieldType.INT, "number"),
        (["1", "3000000000"], FieldType.LONG, "number"),
        (["99999999999999999999"], FieldType.STRING, "text"),
        (["1", "2.5", "1e-3"], FieldType.DOUBLE, "number"),
        (["true", "False"], FieldType.BOOLEAN, "flag"),
        (["2024-01-02"], FieldType.DATE, "date"),
        (["2024-01-02 03:04:05", "2024-01-02T03:04:05.6Z"], FieldType.TIMESTAMP, "time"),
        (["24/01/02 03:04:05"], FieldType.TIMESTAMP, "time"),
        (["Jun  9 06:06:20"], FieldType.STRING, "time"),
        (["10.0.0.1:80", "/10.0.0.2"], FieldType.STRING, "address"),
        (["/var/log"], FieldType.STRING, "path"),
        (["0x1f"], FieldType.STRING, "hex"),
        (["a@b.org"], FieldType.STRING, "email"),
        (["1", "x"], FieldType.STRING, "text"),
        ([""], FieldType.STRING, "text"),
    ],
)
def test_values_have_the_narrowest_type_and_a_word(texts, kind, word):
    assert (type_of(texts), word_for(texts)) == (kind, word)
    assert all(reads(text, kind) for text in texts)


def test_spark_reads_with_the_rules_what_was_promised(spark):
    rules = rule_set(propose(LOG[:60]))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    raw = [("file", i, 1, at, None, line.encode()) for i, line in enumerate(LOG[60:])]

    rows = classify(spark.createDataFrame(raw, RAW).coalesce(1), rules).orderBy("_offset").collect()

    assert {row["_problem"] for row in rows} == {None}
    assert [row["_rule"] for row in rows[:3]] == ["info_worker_job_done_in", "idle", "warn_worker_disk_at_bytes"]
    assert (rows[0]["job"], rows[0]["in"], rows[0]["pid"], rows[0]["level"]) == (20, 30.0, 140, "INFO")
    assert rows[0]["time"].astimezone(UTC) == datetime(2024, 5, 3, 10, 0, 20, 250_000, tzinfo=UTC)
    assert (rows[2]["at"], rows[2]["ok"], rows[2]["path"]) == (20 * 10**9, True, "/var/d20")
