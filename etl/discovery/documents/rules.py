"""A schema as one rule: ``json``, ``sql`` (rows of a database: flat objects of texts), ``delimited``, ``keyvalue``, ``regex``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from etl.discovery.columns.checks import LEAST_ROWS, NUMBERS, Column, suggest
from etl.discovery.columns.values import Values, reads, spec_of
from etl.discovery.documents.readers import JSON, DelimitedReader, FixedReader
from etl.discovery.documents.survey import Documents
from etl.discovery.documents.tree import ARRAY, NULL, OBJECT, STRING, Leaf, Node, Path, at
from etl.discovery.documents.writing import path_text, write
from etl.discovery.names import slug, unique
from etl.discovery.proposal import Candidate, Proposal

MOST_FIELDS: Final = 300


def propose(found: Documents) -> Proposal | None:
    """A rule for the records that the reader takes; None when there are none, or nothing in them can be read."""
    leaves, notes = _leaves(found)
    if not leaves:
        return None
    is_row = found.reader == JSON and _is_row(found.root)
    fields = _fields(leaves, found, is_row=is_row)
    texts = found.held_out.texts()
    documents = [document for text in texts if (document := found.reader.read(text)) is not None]
    paths = {name: leaf.path for name, leaf in zip(fields, leaves, strict=True)}
    held = {name: [at(document, path) for document in documents] for name, path in paths.items()}
    for name, spec in fields.items():
        if not all(held[name]):
            spec.pop("required", None)  # a record held out lacks it
    columns = [
        Column(name, spec, leaf.node.values, held[name]) for (name, spec), leaf in zip(fields.items(), leaves, strict=True)
    ]
    checked = columns
    if isinstance(found.reader, FixedReader):
        checked = [column for column in columns if column.kind in NUMBERS]
        notes.append("texts keep the blanks that fill their columns")
    rule = write(found.reader, fields, paths, is_row=is_row)
    right = sum(all(_is_read(at(one, paths[name]), spec) for name, spec in fields.items()) for one in documents)
    total = max(len(texts) + found.held_out.too_long, 1)
    candidate = Candidate(
        rule, "", found.mined, len(documents) / total, right / max(len(documents), 1), tuple(found.examples.texts())
    )
    return Proposal((candidate,), 1 - right / total if texts else 0.0, (), tuple(suggest(checked)), tuple(notes))


def values_of(found: Documents) -> dict[str, Values]:
    """What is known of the texts of each field, by the names that ``propose`` gives."""
    leaves, _ = _leaves(found)
    return {name: leaf.node.values for name, leaf in zip(_fields(leaves, found, is_row=False), leaves, strict=True)}


def _leaves(found: Documents) -> tuple[list[Leaf], list[str]]:
    """The paths that become fields, in order, with a note about each other one."""
    leaves, notes = _readable(leaf for leaf in found.root.leaves() if leaf.path)
    if isinstance(found.reader, DelimitedReader):
        order = found.reader.columns
        leaves.sort(key=lambda leaf: order.index(str(leaf.path[0])))
    return leaves, notes


def _readable(leaves: Iterable[Leaf]) -> tuple[list[Leaf], list[str]]:
    """Those that a path can lead to, with a note about each other one."""
    kept: list[Leaf] = []
    notes: list[str] = []
    taken: dict[tuple[str, ...], Path] = {}
    for leaf in sorted(leaves, key=lambda one: -one.node.present):
        shown = path_text(leaf.path)
        twin = next((taken[lower] for lower, start in _starts(leaf.path) if taken.get(lower, start) != start), None)
        if any(isinstance(step, str) and (not step or "'" in step or "\\" in step) for step in leaf.path):
            notes.append(f"not read: {shown}: no path can name such a key")
        elif twin is not None:
            notes.append(f"not read: {shown}: Spark cannot tell it from {path_text(twin)}")
        elif len(kept) == MOST_FIELDS:
            notes.append(f"not read: {shown}, and others: there are {MOST_FIELDS} fields already")
            break
        else:
            kept.append(leaf)
            taken |= dict(_starts(leaf.path))
            notes += _said_of(shown, leaf.node)
    return sorted(kept, key=lambda one: [str(step) for step in one.path]), notes


def _starts(path: Path) -> list[tuple[tuple[str, ...], Path]]:
    """Each beginning of a path, in lower case and as it is."""
    lower = tuple(str(step).lower() for step in path)
    return [(lower[:i], path[:i]) for i in range(1, len(path) + 1)]


def _said_of(shown: str, node: Node) -> list[str]:
    forms = sorted(set(node.forms) - {NULL}, key=lambda form: (-node.forms[form], form))
    if len(forms) > 1:
        return [f"{shown} is now {', now '.join(forms)}: it is read as text"]
    if forms == [ARRAY]:
        return [f"{shown} is a list: it is read as its JSON text"]
    return [f"{shown} has keys that are data: it is read as its JSON text"] if forms == [OBJECT] else []


def _is_row(root: Node) -> bool:
    """Whether all records have the same keys, and texts or nothing there."""
    nodes = (root.keys or {}).values()
    flat = all(node.forms.keys() <= {STRING, NULL} and node.forms.total() == root.forms.total() for node in nodes)
    names = [name.lower() for name in root.keys or {}]
    return flat and len(set(names)) == len(names) and not any(name.startswith("_") or name == "value" for name in names)


def _fields(leaves: Sequence[Leaf], found: Documents, *, is_row: bool) -> dict[str, dict[str, Any]]:
    fields: dict[str, dict[str, Any]] = {}
    for leaf in leaves:
        keys = [str(step) for step in leaf.path]
        short = slug(keys[-1] if not keys[-1].isdigit() else "_".join(keys[-2:]))
        name = unique(short if short not in fields else slug("_".join(keys)), fields)
        spec = spec_of(leaf.node.values)
        if found.reader == JSON and not is_row and leaf.node.present == found.mined >= LEAST_ROWS and not leaf.node.values.blanks:
            spec["required"] = not leaf.node.values.nulls
        fields[name] = {key: value for key, value in spec.items() if value is not False}
    return fields


def _is_read(text: str | None, spec: Mapping[str, Any]) -> bool:
    return reads(text, spec) and bool(text or not spec.get("required"))
