from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from core.errors import ConfigError
from etl.sources.dialect import Dialect
from etl.sources.statement import Parameter, Scalar, literal, render

SQLITE, MYSQL, POSTGRESQL, OTHER = (Dialect(name) for name in ("sqlite", "mysql", "postgresql", "oracle"))


@pytest.mark.parametrize(
    ("value", "dialect", "expected"),
    [
        (None, OTHER, "NULL"),
        (True, OTHER, "TRUE"),
        (-7, OTHER, "(-7)"),
        (1e300, OTHER, "(1e+300)"),
        ("it's", OTHER, "'it''s'"),
        ("it's \\' or", SQLITE, "'it''s \\'' or'"),
        ("it's \\' or", POSTGRESQL, "E'it''s \\\\'' or'"),
        ("é'\\", MYSQL, "_utf8mb4 X'c3a9275c'"),
        ("", MYSQL, "''"),
        (date(2013, 1, 2), SQLITE, "'2013-01-02'"),
        (date(2013, 1, 2), MYSQL, "DATE '2013-01-02'"),
        (datetime(2013, 1, 2, 5, tzinfo=timezone(timedelta(hours=5))), POSTGRESQL, "TIMESTAMP '2013-01-02 00:00:00.000000'"),
        (datetime(2013, 1, 2, tzinfo=UTC), SQLITE, "'2013-01-02 00:00:00.000'"),
    ],
)
def test_a_value_is_a_literal_that_no_setting_changes(value: Scalar, dialect: Dialect, expected: str):
    assert literal(value, dialect) == expected


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), float("inf"), "back\\slash"])
def test_what_no_literal_holds_is_refused(value: Scalar):
    with pytest.raises(ConfigError, match=r"which a query cannot|no number that SQL can hold|which oracle may read"):
        literal(value, OTHER)


def test_parameters_stand_where_they_are_named_and_nowhere_else():
    query = "SELECT x::text, ':a', \":a\", `:a` FROM t\n WHERE a = :a AND b IN (:b) AND c=:a"
    parameters: dict[str, Parameter] = {"a": "1' OR :b", "b": (1, "x")}
    assert render(query, parameters, SQLITE) == (
        "SELECT x::text, ':a', \":a\", `:a` FROM t\n WHERE a = '1'' OR :b' AND b IN ((1), 'x') AND c='1'' OR :b'"
    )


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT 1; DROP TABLE t", "one SELECT, without ';'"),
        ("DELETE FROM t", "begins with SELECT"),
        ("SELECT 1 -- x", "no comments"),
        ("SELECT /* x */ 1", "no comments"),
        ("SELECT 1 # x", "holds '#'"),
        ("SELECT $$;$$", "holds '\\$'"),
        ("SELECT ?", "write a parameter as :name"),
        ("SELECT 'a\\'; DROP TABLE t; --'", "has a backslash"),
        ("SELECT 'open", "quote is not closed"),
        ("SELECT 1) x, (SELECT 2", "parentheses do not match"),
        ("SELECT (1", "parentheses do not match"),
        ("SELECT :b", "a parameter 'b': set it in 'parameters'"),
        ("SELECT 1", "no place for the parameters a: write :a"),
        ("SELECT 1 WHERE 1 IN (:a)", "'a' is an empty list"),
    ],
)
def test_a_query_that_is_not_one_select_with_its_parameters_is_refused(query: str, reason: str):
    with pytest.raises(ConfigError, match=reason):
        render(query, {"a": ()}, MYSQL)
