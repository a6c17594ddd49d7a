"""JSON records: their schema, the rule for them, and what cannot be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.discovery.documents.readers import JSON
from etl.discovery.documents.rules import propose
from etl.discovery.documents.survey import Documents
from etl.discovery.proposal import Proposal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "1", "2026-01-01", ""]),
    lambda below: (
        st.lists(below, max_size=5) | st.dictionaries(st.sampled_from(["a", "A", "b", "é", "it's", "c d"]), below, max_size=4)
    ),
    max_leaves=6,
)


def surveyed(records: list[str]) -> Documents:
    made = Documents()
    made.add(enumerate(records))
    return made


def proposed(documents: list[object]) -> Proposal:
    proposal = propose(surveyed([one if isinstance(one, str) else json.dumps(one) for one in documents]))
    assert proposal is not None
    return proposal


@given(documents=st.lists(VALUES, max_size=30), cut=st.integers(0, 30))
@settings(max_examples=80, deadline=None)
def test_parts_that_travelled_and_were_merged_are_one_pass(documents, cut):
    records = [json.dumps(one) for one in documents]
    whole, late = surveyed(records), Documents()
    late.add((i + cut, text) for i, text in enumerate(records[cut:]))
    merged = Documents.from_bytes(late.to_bytes())
    merged.merge(surveyed(records[:cut]))

    assert propose(merged) == propose(whole)
    assert (merged.mined, merged.others, merged.records) == (whole.mined, whole.others, len(records))


def test_paths_types_and_what_is_always_there():
    (candidate,) = proposed(
        [
            {"id": i, "user": {"name": "anna", "born on": "1990-01-01"}, "place": [1.5, i], "note": None if i % 2 else "hm"}
            for i in range(1200)
        ]
    ).candidates

    assert candidate.rule == {
        "name": "document",
        "kind": "json",
        "fields": {
            "id": {"type": "int", "required": True},
            "note": {"type": "string"},
            "place_0": {"type": "double", "required": True, "path": "$.place[0]"},
            "place_1": {"type": "int", "required": True, "path": "$.place[1]"},
            "born_on": {"type": "date", "required": True, "path": "$.user['born on']"},
            "name": {"type": "string", "required": True, "path": "$.user.name"},
        },
    }
    assert (candidate.coverage, candidate.precision, 500 < candidate.support < 700) == (1.0, 1.0, True)


@pytest.mark.parametrize(
    ("document", "note"),
    [
        ({"a": [{"b": 1}]}, "$.a is a list: it is read as its JSON text"),
        ({"a": {str(i): 1 for i in range(300)}}, "$.a has keys that are data: it is read as its JSON text"),
        ({"a": 1, "it's": 2}, "not read: $['it's']: no path can name such a key"),
        ({"a": {"x": 1}, "A": 2}, "not read: $.a.x: Spark cannot tell it from $.A"),
        ({"": 1, "b": 1}, "not read: $['']: no path can name such a key"),
    ],
)
def test_what_a_path_cannot_read_is_said(document, note):
    proposal = proposed([document] * 20)

    assert note in proposal.notes
    assert len(proposal.candidates[0].rule["fields"]) == 1


def test_a_value_of_several_forms_is_read_as_text():
    proposal = proposed([{"a": ({"b": 1}, "x", 3)[i % 3]} for i in range(60)])

    assert proposal.candidates[0].rule["fields"] == {"a": {"type": "string"}}
    assert proposal.notes[0].startswith("$.a is now ")


def test_records_that_are_no_object_are_expected_in_quarantine():
    proposal = proposed([{"a": 1}, "[1]", {"a": 2}, "no json"] * 50)

    assert 0.3 < proposal.quarantined < 0.7
    assert proposal.candidates[0].precision == 1.0


@pytest.mark.parametrize("text", ["", "[1]", "1", "{", '{"a": NaN}', "[" * 100_000, '{"a": 1} x', "nul"])
def test_what_is_no_object_is_not_read(text):
    assert JSON.read(text) is None
    assert propose(surveyed([text] * 8)) is None


def test_rows_of_a_database_become_a_rule_over_columns():
    rows = [{"order_id": str(i), "Unit Price": f"{i / 4:.2f}", "paid": ("true", None)[i % 2]} for i in range(1000)]
    proposal = proposed(rows)

    assert proposal.candidates[0].rule == {
        "name": "row",
        "kind": "sql",
        "columns": ["Unit Price", "order_id", "paid"],
        "fields": {
            "unit_price": {"type": "double", "expression": "`Unit Price`"},
            "order_id": {"type": "int"},
            "paid": {"type": "boolean"},
        },
    }
    assert [constraint.check["name"] for constraint in proposal.constraints] == [
        "complete",
        "order_id_unique",
        "unit_price_range",
        "order_id_range",
    ]
