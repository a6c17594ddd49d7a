"""What the names in a table's rules must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from etl.rules.fields import FieldSpec

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAKEN = frozenset({"value"})


def check_names(rules: Sequence[tuple[str, Mapping[str, FieldSpec]]], checks: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Raise ValueError for a name that is malformed, stands twice, or names no field, and for a field of two types or masks."""
    for kind, names in (("rule", [name for name, _ in rules]), ("check", [name for name, _ in checks])):
        for name in names:
            _check(kind, name)
            if names.count(name) > 1:
                raise ValueError(f"{kind} {name!r} stands twice")
    types = _types(rules)
    for check, columns in checks:
        for name in columns:
            if name not in types:
                near = difflib.get_close_matches(name, types, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(types)}"
                raise ValueError(f"check {check!r} names field {name!r}, which no rule fills: {hint}")


def _types(rules: Sequence[tuple[str, Mapping[str, FieldSpec]]]) -> dict[str, str]:
    types: dict[str, str] = {}
    masks: dict[str, tuple[str | None, str]] = {}
    for rule, specs in rules:
        for name, spec in specs.items():
            _check("field", name)
            if types.setdefault(name, spec.type) != spec.type:
                raise ValueError(f"field {name!r} is a {spec.type} in rule {rule!r} and a {types[name]} in another")
            if masks.setdefault(name, (spec.mask, spec.mask_key)) != (spec.mask, spec.mask_key):
                raise ValueError(f"field {name!r} is masked otherwise in rule {rule!r} than in another")
    return types


def _check(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(f"{kind} name {name!r} is not of lower-case letters, digits and _, or is taken")
