"""Which kind of rules is found for which records, and that Spark reads with them what was promised."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import reduce

import pytest
import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config import validate
from core.contracts import TableName
from core.errors import SourceError
from etl.discovery.choose import Kind, choose, leads_to, proposal_of
from etl.discovery.documents.dialect import fixed, pairs, separated
from etl.discovery.documents.readers import FixedReader, PairsReader
from etl.discovery.documents.survey import Documents
from etl.discovery.draft import draft
from etl.rules.compile import classify
from etl.rules.config import RuleFile, TableRules, read_rules

RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
CITIES = ("New York", "Berlin", "Los Angeles")
RECORDS = {
    Kind.JSON: [json.dumps({"id": i, "user": {"name": f"u{i}"}, "at": [i, 1.5], "tags": ["x"] * (i % 3)}) for i in range(700)],
    Kind.DELIMITED: ["id;when;Unit Price;note", *(f'{i};2026-01-02;{i / 4};"a; ""b"" or c {i}"' for i in range(700))],
    Kind.PAIRS: [f'level=info ts=2026-01-01T00:00:00Z msg="job {i} is \\"done\\"" n={i}' for i in range(700)],
    Kind.SEPARATED: [f"{i}|2026-01-02|{'red' if i % 2 else 'green'}|{i / 4}" for i in range(700)],
    Kind.FIXED: [f"{i:>6} {CITIES[i % 3]:<14}{i / 100:>9.2f} {'ok' if i % 2 else '':<4}x" for i in range(700)],
    Kind.LOG: [line for i in range(350) for line in (f"job {i} is done, at last: it took {i} ms", f"user u{i} has come in")],
}
READ = {
    Kind.JSON: {"id": 6, "name": "u6", "at_0": 6, "at_1": 1.5, "tags": "[]"},
    Kind.DELIMITED: {"id": 5, "when": "2026-01-02", "unit_price": 1.25, "note": 'a; "b" or c 5'},
    Kind.PAIRS: {"level": "info", "ts": "2026-01-01T00:00:00.000Z", "msg": 'job 6 is "done"', "n": 6},
    Kind.SEPARATED: {"column_001": 6, "column_002": "2026-01-02", "column_003": "green", "column_004": 1.5},
    Kind.FIXED: {"column_001": 6, "column_002": "New York   ", "column_003": 0.06, "column_005": "x"},
    Kind.LOG: {"job": 3, "took": 3},
}


def rules_for(kind: Kind) -> TableRules:
    records = list(enumerate(RECORDS[kind]))
    choice = choose(records, None, may_begin_with_header=True)
    assert choice.kind is kind, choice.reason
    sketch = choice.make()
    sketch.add(records)
    proposal = proposal_of(sketch)
    assert proposal is not None
    assert proposal.quarantined == 0
    text = draft(proposal.noted(choice.reason), TableName.parse("raw.a"), TableName.parse(f"extracted.{kind}"))
    return read_rules(str(kind), validate(yaml.safe_load(text), RuleFile, "a.yaml"), "a.yaml").tables[0]


def test_spark_reads_each_kind_as_promised(spark):
    at, found = datetime(2026, 1, 1, tzinfo=UTC), []
    for kind, records in RECORDS.items():
        rules = rules_for(kind)
        header = records[0].encode() if kind is Kind.DELIMITED else None
        rows = [("f", i, 1, at, header, text.encode()) for i, text in enumerate(records) if i or header is None]
        row = F.to_json(F.struct(*rules.config.types()))
        classified = classify(spark.createDataFrame(rows, RAW).coalesce(1), rules)
        problem = F.col("_problem.reason").alias("problem")
        found.append(classified.select(F.lit(str(kind)).alias("kind"), "_offset", row.alias("row"), problem))

    rows = reduce(DataFrame.union, found).collect()

    assert {(row["kind"], row["problem"]) for row in rows} == {(str(kind), None) for kind in Kind}
    assert {row["kind"]: json.loads(row["row"]) for row in rows if row["_offset"] == 6} == {
        str(kind): READ[kind] for kind in Kind
    }


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["1,2,x", "3,4,y"], (",", 3)),
        (["a b, c d; 1", "e f; 2"], (";", 2)),
        (["1;2,5;x", "3;4,5;y"], (";", 3)),
        (["a\tb", "c\td"], ("\t", 2)),
        (["one line of words", "another"], None),
        ([], None),
    ],
)
def test_the_separator_is_the_one_that_makes_a_table(texts, found):
    assert separated(texts) == found


@pytest.mark.parametrize(
    ("texts", "reader"),
    [
        (["a=1 b=2"], PairsReader(None, "=")),
        (["a=1;b=x y"], PairsReader(";", "=")),
        (["a: 1, b: 2"], PairsReader(",", ":")),
        (["a=1"], None),
        (["it was a=1 b=2"], None),
    ],
)
def test_pairs_are_read_where_nothing_else_stands(texts, reader):
    assert pairs(texts) == reader


def test_columns_are_between_blanks_that_all_lines_have():
    assert fixed(["ab  1", "c  22"]) == FixedReader(((0, 2), (3, 5)))
    assert fixed(["ab 1", "abc1"]) is None
    assert fixed([]) is None


def test_a_kind_may_be_forced_where_records_are_of_it():
    records = list(enumerate(RECORDS[Kind.PAIRS]))

    assert choose(records, None, may_begin_with_header=True, kind=Kind.LOG).kind is Kind.LOG
    with pytest.raises(SourceError, match="cannot be read as json"):
        choose(records, None, may_begin_with_header=True, kind=Kind.JSON)


def test_the_header_that_records_came_with_names_the_columns():
    choice = choose([(i, f"{i},x{i}") for i in range(9)], "id,name", may_begin_with_header=False)

    assert choice.kind is Kind.DELIMITED
    assert choose([(i, f"{i},x{i}") for i in range(9)], None, may_begin_with_header=False).kind is Kind.SEPARATED


def test_rows_are_told_where_they_lead():
    orders = Documents()
    orders.add((i, json.dumps({"id": str(i), "customer_id": str(i % 40)})) for i in range(400))
    customers = [(i, json.dumps({"id": str(i), "name": f"n{i}"})) for i in range(50)]

    (key,) = leads_to(orders, "customers", customers, None)
    assert key.reason == "all 40 values that could be looked for are there"
    proposal = proposal_of(orders)
    assert proposal is not None
    text = draft(proposal.checked(key), TableName.parse("raw.orders"), TableName.parse("extracted.orders"))
    (rules,) = read_rules("orders", validate(yaml.safe_load(text), RuleFile, "orders.yaml"), "orders.yaml").tables
    (found,) = rules.foreign_keys
    assert (found.columns, str(found.table), found.others) == (("customer_id",), "extracted.customers", ("id",))
    with pytest.raises(SourceError, match="no named columns"):
        leads_to(orders, "customers", [(0, "a line"), (1, "another")], None)
