"""What is kept of a column's texts, and the checks that it suggests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.discovery.columns.checks import Column, suggest
from etl.discovery.columns.inclusion import foreign_keys
from etl.discovery.columns.values import KEPT, Values, reads, spec_of
from etl.discovery.survey import is_held_out

TEXTS = st.lists(st.none() | st.sampled_from(["", "1", "2.5", "NA", "x", "007", "2026-01-01", "true"]) | st.text(max_size=3))


def values(texts: list[str | None]) -> Values:
    made = Values()
    for text in texts:
        made.add(text)
    return made


def column(texts: list[str | None]) -> Column:
    mined = values([text for i, text in enumerate(texts) if not is_held_out(i)])
    return Column("x", spec_of(mined), mined, [text for i, text in enumerate(texts) if is_held_out(i)])


@given(texts=TEXTS, cut=st.integers(0, 20))
@settings(max_examples=80, deadline=None)
def test_parts_that_travelled_and_were_merged_are_one_pass(texts, cut):
    merged = Values.from_json(json.loads(json.dumps(values(texts[cut:]).to_json())))
    merged.merge(values(texts[:cut]))

    assert json.dumps(merged.to_json(), sort_keys=True) == json.dumps(values(texts).to_json(), sort_keys=True)
    assert merged.type() == values(texts).type()
    assert all(reads(text, spec_of(merged)) for text in texts)


@pytest.mark.parametrize(
    ("texts", "spec"),
    [
        (["1", "-2", None, ""], {"type": "int"}),
        (["1", "N/A", "2.5"], {"type": "double", "null_values": ["", "N/A"]}),
        (["00501", "10001"], {"type": "string"}),
        (["true", "false"], {"type": "boolean"}),
        (["2026-01-01"], {"type": "date"}),
        (["26/01/02 03:04:05"], {"type": "timestamp", "format": "yy/MM/dd HH:mm:ss"}),
        (["26/01/02 03:04:05", "2026-01-01 10:00:00"], {"type": "string"}),
        (["1", "one"], {"type": "string"}),
        ([None, "-"], {"type": "string"}),
    ],
)
def test_a_column_has_the_narrowest_type_that_reads_all(texts, spec):
    assert spec_of(values(texts)) == spec


def test_distinct_texts_are_counted_in_bounded_memory():
    few, many = values(["a", "b", "a"]), values([str(i % 50_000) for i in range(60_000)])

    assert (few.distinct(), few.kept()) == (2, dict(few.kept()) | {"a": 2, "b": 1})
    assert 42_000 < many.distinct() < 58_000
    assert len(many.kept()) == KEPT


SURE = [f"{i}" for i in range(1000)]


@pytest.mark.parametrize(
    ("texts", "checks"),
    [
        (SURE, [("not_null", {}), ("unique", {}), ("range", {"min": 0})]),
        ([str(i % 12 + 1) for i in range(1000)], [("not_null", {}), ("range", {"min": 1, "max": 12})]),
        ([None, *(str(i % 7 - 3) for i in range(999))], [("range", {"min": -3, "max": 3})]),
        ([("open", "shut", "?")[i % 3] for i in range(999)], [("not_null", {}), ("set", {"values": ["?", "open", "shut"]})]),
        ([f"AB-{i % 900:04}" for i in range(1000)], [("not_null", {}), ("pattern", {"pattern": r"^[A-Z]{2}\-[0-9]{4}$"})]),
        ([f"word{i % 400} and {'more' * (i % 3)}" for i in range(1000)], [("not_null", {})]),
        (["open"] * 400 + ["shut"] * 98, []),
        (["open"] * 900 + ["ajar", "shut"], [("not_null", {})]),
    ],
)
def test_checks_are_those_that_hold_on_enough_rows_held_out(texts, checks):
    found = [constraint.check for constraint in suggest([column(texts)])]

    assert [
        (check["kind"], {k: check[k] for k in ("min", "max", "values", "pattern") if k in check}) for check in found
    ] == checks
    assert len({check["name"] for check in found}) == len(found)


def test_foreign_keys_are_found_by_values_and_names():
    customers = {"id": values([str(i) for i in range(5000)]), "size": values([str(i % 9) for i in range(5000)])}
    orders = {
        "customer_id": values([str(i * 3 % 5000) for i in range(9000)]),
        "customer_code": values([f"x{i}" for i in range(3000)]),
        "amount": values([str(i % 100) for i in range(9000)]),
        "id": values([str(i) for i in range(9000)]),
    }

    (found,) = foreign_keys(orders, "customers", customers)

    assert (found.column, found.table, found.key) == ("customer_id", "customers", "id")
    assert found.compared == KEPT
    assert list(foreign_keys({"customer_id": values(["1", "-7"])}, "customers", {"id": values(["1", "2"])})) == []
    few = foreign_keys({"customer": values([str(i) for i in range(300)])}, "customers", customers)
    assert 0 < next(few).compared < 60
