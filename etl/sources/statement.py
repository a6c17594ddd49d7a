"""A user's SELECT with its parameters, as text that holds one statement and nothing else, whatever the values are.

Spark's JDBC cannot bind parameters, so each becomes a literal of its type, in a form whose meaning no setting of the server
changes. What a database would read otherwise than we do (comments, backslashes, dollar quotes) stands in no query: values that
need it are given as parameters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from core.errors import ConfigError
from etl.sources.dialect import Dialect

Scalar = bool | int | float | datetime | date | str | None
Parameter = Scalar | tuple[Scalar, ...]

_PIECE = re.compile(
    r"(?P<quoted>'(?:[^'\\\0]|'')*'|\"[^\"\\\0]*\"|`[^`\\\0]*`)|(?P<cast>::)|:(?P<name>[A-Za-z_]\w*)|"
    r"(?P<refused>--|/\*|[#;?$\\'\"`\0])|(?P<plain>\w+|.)",
    re.DOTALL,
)
_BEGIN = re.compile(r"\s*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)
_WHY = {
    ";": "a query is one SELECT, without ';'",
    "--": "a query holds no comments",
    "/*": "a query holds no comments",
    "?": "write a parameter as :name",
    "'": "a quote is not closed, or what it holds has a backslash: give that text by 'parameters'",
}


def render(query: str, parameters: Mapping[str, Parameter], dialect: Dialect) -> str:
    """``query`` with each ``:name`` replaced by that parameter's literal; raises ConfigError.

    A list becomes its values with commas between, for ``IN (:names)``.
    """
    if not _BEGIN.match(query):
        raise ConfigError("a query begins with SELECT, WITH or VALUES")
    made, used, depth = [], set(), 0
    for piece in _PIECE.finditer(query):
        kind, text = piece.lastgroup, piece[0]
        if kind == "refused" and (text != "#" or dialect.is_mysql):
            raise ConfigError(f"the query holds {text!r} at character {piece.start() + 1}: {_WHY.get(text, _WHY[chr(39)])}")
        if kind == "name":
            used.add(piece["name"])
            text = _bound(piece["name"], parameters, dialect)
        depth += (text == "(") - (text == ")")
        if depth < 0:
            break
        made.append(text)
    if depth:
        raise ConfigError("the query's parentheses do not match")
    if unused := sorted(set(parameters) - used):
        raise ConfigError(f"the query has no place for the parameters {', '.join(unused)}: write :{unused[0]} where it belongs")
    return "".join(made)


def literal(value: Scalar, dialect: Dialect) -> str:
    """``value`` in SQL; a moment is in UTC. Raises ConfigError for what cannot be written: NUL, half a surrogate pair, NaN."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ConfigError(f"{value} is no number that SQL can hold")
        return f"({value!r})"  # a sign may follow another
    if isinstance(value, datetime):
        return dialect.instant(value.astimezone(UTC) if value.tzinfo else value)
    if isinstance(value, date):
        return f"'{value}'" if dialect.name == "sqlite" else f"DATE '{value}'"
    return _text(value, dialect)


def _bound(name: str, parameters: Mapping[str, Parameter], dialect: Dialect) -> str:
    if name not in parameters:
        raise ConfigError(f"the query asks for a parameter {name!r}: set it in 'parameters'")
    value = parameters[name]
    if not isinstance(value, tuple):
        return literal(value, dialect)
    if not value:
        raise ConfigError(f"parameter {name!r} is an empty list, which IN cannot hold")
    return ", ".join(literal(one, dialect) for one in value)


def _text(value: str, dialect: Dialect) -> str:
    """MySQL's as bytes: there a backslash escapes or not as the session says. PostgreSQL's E'' has escapes in every session."""
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigError(f"the text {value[:40]!r} holds NUL or half a surrogate pair, which a query cannot")
    if dialect.is_mysql:
        return f"_utf8mb4 X'{value.encode().hex()}'" if value else "''"
    doubled = value.replace("'", "''")
    if "\\" not in value or dialect.name == "sqlite":
        return f"'{doubled}'"
    if dialect.name == "postgresql":
        escaped = doubled.replace("\\", "\\\\")
        return f"E'{escaped}'"
    raise ConfigError(f"the text {value[:40]!r} holds a backslash, which {dialect.name} may read as it is or as an escape")
