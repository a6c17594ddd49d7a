"""More rules for a table of a file of rules, whose text else stays as it is, comments and all."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from core.contracts import TableName
from core.errors import ConfigError
from etl.discovery.draft import reasons, to_yaml
from etl.discovery.names import unique
from etl.discovery.proposal import Candidate
from etl.rules.config import TableRules

_READS = {"json": ("path", "$.{}"), "delimited": ("column", "{}"), "keyvalue": ("key", "{}"), "sql": ("expression", "`{}`")}


def extend(text: str, table: TableRules, candidates: Sequence[Candidate]) -> str:
    """The file with candidates after the rules of a table: what these take they still take. Raises ConfigError."""
    node = _rules_node(yaml.compose(text, yaml.SafeLoader), table.into)
    if node is None or node.flow_style:
        raise ConfigError(f"the rules of {table.into} are not a list with a line for each rule: write them so")
    lines = text.splitlines()
    last = node.end_mark.line if node.end_mark.column == 0 or node.end_mark.line < len(lines) else len(lines)
    while last and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    added: list[str] = []
    for rule, candidate in zip(_fitted(table, candidates), candidates, strict=True):
        added += [f"# {line}" for line in reasons(candidate)] + to_yaml([rule]).splitlines()
    body = textwrap.indent("\n".join(added), " " * node.start_mark.column).splitlines()
    return "\n".join([*lines[:last], *body, *lines[last:], ""])


def _rules_node(root: Any, into: TableName) -> Any:
    for table in _value(root, "tables").value:
        if _value(table, "into").value == str(into):
            return _value(table, "rules")
    return None


def _value(mapping: Any, key: str) -> Any:
    return next(value for name, value in mapping.value if name.value == key)


def _fitted(table: TableRules, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The candidates' rules with names that are free, and no field of a type that it has not in the table."""
    taken = {rule.name for rule in table.rules}
    types = {name: kind.value for name, kind in table.config.types().items()}
    fitted = []
    for candidate in candidates:
        name = unique(candidate.rule["name"], taken)
        taken.add(name)
        kind = candidate.rule["kind"]
        fields: dict[str, Any] = {}
        for field, spec in candidate.rule["fields"].items():
            free = _free(field, spec, types, fields)
            fields[free] = dict(spec) if free == field else _reading(kind, field) | dict(spec)
            types[free] = spec["type"]
        fitted.append({**candidate.rule, "name": name, "fields": fields})
    return fitted


def _free(field: str, spec: Mapping[str, Any], types: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    other = {name for name, kind in types.items() if kind != spec["type"]}
    return unique(field, other | set(fields))


def _reading(kind: str, field: str) -> dict[str, str]:
    key, form = _READS.get(kind, ("group", "{}"))
    return {key: form.format(field)}
