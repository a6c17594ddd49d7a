"""Records that are one XML element: what is read, what is refused, and what cannot be made of them."""

import pytest

from core.errors import ConfigError, RuleError

STRING = {"type": "string"}


def event(table_rules, **paths: str):
    fields = {name: {**STRING, "path": path} for name, path in paths.items()}
    return table_rules({"name": "event", "kind": "xml", "root": "event", "fields": fields})


def test_elements_and_attributes_are_read_by_their_paths(run, table_rules) -> None:
    paths = {"id": "@id", "a": "a", "second": "a[2]", "x": "b/@x", "b": "b", "c": "b/c[2]/text()", "q": "ns:q", "k": "k"}
    records = {
        '<event id="1"><a>x</a><a>y</a><b x="2">t<c>1</c><c>2</c></b></event>': ("1", "x", "y", "2", "t", "2", None, None),
        '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<event><a> ☃ &amp; <![CDATA[<y>]]>\n</a></event>\n': (
            *(None, "☃ & <y>", *[None] * 6),
        ),
        '<event xmlns:ns="u" ID="3"><!-- c --><ns:q>v</ns:q><A>x</A><k z="1">w</k></event>': ("3", "x", *[None] * 4, "v", "w"),
        '<event id=""><a/><b/><k><i>in</i> it</k></event>': (*[None] * 7, "<i>in</i> it"),
        "<event/>": (None,) * 8,
    }

    rows = run(event(table_rules, **paths), [record.encode() for record in records])

    assert [row["_problem"] for row in rows] == [None] * len(records)
    assert [tuple(row[name] for name in paths) for row in rows] == list(records.values())


def test_what_is_not_one_element_of_that_name_is_not_taken(run, table_rules) -> None:
    damaged = [
        "", "junk", "{}", "<event><a>x</a>", "<event><a>x</b></event>", "<event/> rest", "<event/><event/>", "<event/><other/>",
        "<other><a>x</a></other>", "<event a=1/>", "<event><a>&e;</a></event>", "<event><a>\x01</a></event>", "<event>",
        "<event/></_record_><_record_><x/>", "<event></_record_><_record_></event>", "x <event/>", "<!-- <event/> -->",
    ]  # fmt: skip

    rows = run(event(table_rules, a="a"), [record.encode() for record in damaged])

    assert [row["_problem"] and row["_problem"]["reason"] for row in rows] == ["no_rule"] * len(damaged)


def test_no_entity_is_resolved_and_no_depth_or_size_stops_the_run(run, table_rules, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("swordfish")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    deep = 100_000
    records = [
        f'<!DOCTYPE event [<!ENTITY e SYSTEM "file://{secret}">]><event><a>&e;</a></event>',
        f'<!DOCTYPE event SYSTEM "file://{secret}"><event><a>x</a></event>',
        f'<!DOCTYPE event [<!ENTITY e0 "ha">{bomb}]><event><a>&e11;</a></event>',
        f"<event><a>{'<a>' * deep}{'</a>' * deep}</a></event>",
        f"<event>{'<z>' * deep}{'</z>' * deep}</event>",
        f"<event>{'<a>' * deep}",
        f"<event><a>{'x' * 10_000_000}</a></event>",
        f"<event><a>1</a>{'<z/>' * deep}</event>",
    ]

    rows = run(event(table_rules, a="a"), [record.encode() for record in records])

    assert "swordfish" not in str([row["_problem"] for row in rows])
    assert [row["_problem"]["message"][:31] for row in rows[:3]] == ["the record has a document type,"] * 3
    assert [row["_problem"] and row["_problem"]["reason"] for row in rows[3:]] == ["no_rule"] * 3 + [None] * 2
    assert [row["a"] and len(row["a"]) for row in rows[6:]] == [10_000_000, 1]


@pytest.mark.parametrize("path", ["a//b", "/a", "a/", "@id/a", "a[0]", "a[x]", "a/*", "../a", "a b", "a[1][2]"])
def test_a_path_of_another_form_is_refused(table_rules, path: str) -> None:
    with pytest.raises(RuleError, match=r"rule event: field 'a': path .* is not of the form"):
        event(table_rules, a=path)


def test_names_that_spark_cannot_tell_apart_and_a_root_that_is_no_name_are_refused(table_rules) -> None:
    with pytest.raises(RuleError, match="names 'a' and 'A' differ only in case"):
        event(table_rules, a="a", b="A/b")
    with pytest.raises(ConfigError, match="root"):
        table_rules({"name": "r", "kind": "xml", "root": "<x>", "fields": {"a": STRING}})
