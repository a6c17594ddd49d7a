"""Rules as a rule file has them, one way for each way to read records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from etl.discovery.documents.readers import DelimitedReader, FixedReader, PairsReader, Reader, SeparatedReader
from etl.discovery.documents.tree import Path
from etl.rules.fields import FieldType

Specs = Mapping[str, Mapping[str, Any]]
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PADDED = frozenset({FieldType.INT, FieldType.LONG, FieldType.DOUBLE, FieldType.STRING})


def write(reader: Reader, fields: Specs, paths: Mapping[str, Path], *, is_row: bool) -> dict[str, Any]:
    """The rule by which records are read as ``reader`` reads them."""
    keys = {name: str(path[0]) for name, path in paths.items()}
    if isinstance(reader, DelimitedReader):
        named = {name: dict(spec) | _named("column", name, keys[name]) for name, spec in fields.items()}
        return {
            "name": "line",
            "kind": "delimited",
            "columns": list(reader.columns),
            "separator": reader.separator,
            "fields": named,
        }
    if isinstance(reader, PairsReader):
        named = {name: dict(spec) | _named("key", name, keys[name]) for name, spec in fields.items()}
        signs = {"assign": reader.assign} | ({"separator": reader.separator} if reader.separator else {})
        return {"name": "pairs", "kind": "keyvalue", **signs, "fields": named}
    if isinstance(reader, SeparatedReader):
        cell = f"[^{re.escape(reader.separator)}]*"
        pattern = re.escape(reader.separator).join(f"(?<{name}>{cell})" for name in fields)
        return {"name": "line", "kind": "regex", "pattern": f"^{pattern}$", "fields": {n: dict(s) for n, s in fields.items()}}
    if isinstance(reader, FixedReader):
        return _fixed(reader, fields)
    return _row(fields, keys) if is_row else _document(fields, paths)


def path_text(path: Path) -> str:
    """A path as rules write it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN.fullmatch(step) else f"['{step}']" for step in path)
    return "$" + "".join(steps)


def _document(fields: Specs, paths: Mapping[str, Path]) -> dict[str, Any]:
    named = {
        name: dict(spec) | ({} if paths[name] == (name,) else {"path": path_text(paths[name])}) for name, spec in fields.items()
    }
    return {"name": "document", "kind": "json", "fields": named}


def _row(fields: Specs, columns: Mapping[str, str]) -> dict[str, Any]:
    named = {
        name: dict(spec) | _named("expression", f"`{name}`", f"`{columns[name].replace('`', '``')}`")
        for name, spec in fields.items()
    }
    return {"name": "row", "kind": "sql", "columns": list(columns.values()), "fields": named}


def _named(key: str, name: str, found: str) -> dict[str, str]:
    return {} if name == found else {key: found}


def _fixed(reader: FixedReader, fields: Specs) -> dict[str, Any]:
    """Numbers are read with the blanks around them; of other types only what fills its column."""
    first, last = reader.spans[0][0], len(reader.spans) - 1
    groups = [
        f"(?<{name}>.{'+' if i == last else f'{{{end - start}}}'})"
        for i, (name, (start, end)) in enumerate(zip(fields, reader.spans, strict=True))
    ]
    gaps = [f" {{{start - end}}}" for (_, end), (start, _) in pairwise(reader.spans)]
    body = "".join(group + gap for group, gap in zip(groups, [*gaps, ""], strict=True))
    written: dict[str, Any] = {}
    for (name, spec), (start, end) in zip(fields.items(), reader.spans, strict=True):
        kept = dict(spec) if FieldType(spec["type"]) in _PADDED else {"type": FieldType.STRING.value}
        written[name] = kept | {"null_values": ["", *kept.get("null_values", [""])[1:], " " * (end - start)]}
    return {"name": "line", "kind": "regex", "pattern": f"^{f' {{{first}}}' if first else ''}{body}$", "fields": written}
