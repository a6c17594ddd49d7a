"""The schema of JSON values in one pass: which forms stand at each path, how often, and what their texts are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from etl.discovery.columns.values import Values

MOST_KEYS: Final = 256
"""Of one object: with more they are data, as in a map from users to counts, and the object is read as one text."""
MOST_ITEMS: Final = 4
DEEPEST: Final = 16
OBJECT, ARRAY, STRING, NUMBER, BOOLEAN, NULL = "object", "array", "string", "number", "boolean", "null"
Path = tuple[str | int, ...]


class Number(str):
    """A number as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A path that is read as one text, and what stands there."""

    path: Path
    node: Node


class Node:
    """What stands at one path."""

    __slots__ = ("forms", "items", "keys", "lengths", "values")

    def __init__(self) -> None:
        self.forms: Counter[str] = Counter()
        self.keys: dict[str, Node] | None = {}
        self.items: list[Node] = []
        self.lengths: set[int] = set()
        self.values = Values()

    @property
    def present(self) -> int:
        """How many records have a value here that is not null."""
        return self.forms.total() - self.forms[NULL]

    def add(self, value: Any, depth: int = 0) -> None:
        """Take in a value as ``read`` gives it."""
        form = form_of(value)
        self.forms[form] += 1
        if form is OBJECT and depth < DEEPEST:
            for key, below in value.items():
                self._child(key, depth, below)
        elif form is ARRAY and depth < DEEPEST:
            self._add_items(value, depth)
        elif form is not NULL:
            self.values.add(text_of(value))

    def merge(self, other: Node) -> None:
        """Take in what another has seen."""
        self.forms += other.forms
        self.values.merge(other.values)
        self.lengths = _few(self.lengths | other.lengths)
        if self.keys is None or other.keys is None or len(self.keys | other.keys) > MOST_KEYS:
            self.keys = None
        else:
            for key, node in other.keys.items():
                self.keys.setdefault(key, Node()).merge(node)
        for i, node in enumerate(other.items):
            if i == len(self.items):
                self.items.append(Node())
            self.items[i].merge(node)

    def leaves(self, path: Path = ()) -> Iterator[Leaf]:
        """The paths that a rule reads: values, lists of no fixed length, and what is now this and now that."""
        found = set(self.forms) - {NULL}
        if found == {OBJECT} and self.keys:
            for key, node in sorted(self.keys.items()):
                yield from node.leaves((*path, key))
        elif found == {ARRAY} and self._is_tuple():
            for i, node in enumerate(self.items):
                yield from node.leaves((*path, i))
        elif found:
            yield Leaf(path, self)

    def to_json(self) -> list[Any]:
        """A JSON-able form, read back by ``from_json``."""
        keys = None if self.keys is None else {key: node.to_json() for key, node in self.keys.items()}
        items = [node.to_json() for node in self.items]
        return [self.forms, sorted(self.lengths), self.values.to_json(), keys, items]

    @classmethod
    def from_json(cls, document: list[Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls()
        forms, lengths, values, keys, items = document
        made.forms, made.lengths, made.values = Counter(forms), set(lengths), Values.from_json(values)
        made.keys = None if keys is None else {key: cls.from_json(one) for key, one in keys.items()}
        made.items = [cls.from_json(one) for one in items]
        return made

    def _child(self, key: str, depth: int, value: Any) -> None:
        if self.keys is None:
            return
        node = self.keys.get(key)
        if node is None:
            if len(self.keys) == MOST_KEYS:
                self.keys = None
                return
            node = self.keys[key] = Node()
        node.add(value, depth + 1)

    def _add_items(self, items: list[Any], depth: int) -> None:
        self.lengths = _few(self.lengths | {min(len(items), MOST_ITEMS + 1)})
        for i, item in enumerate(items[:MOST_ITEMS]):
            if i == len(self.items):
                self.items.append(Node())
            self.items[i].add(item, depth + 1)

    def _is_tuple(self) -> bool:
        """Whether all lists are of one small length, of values: such as a place on earth."""
        plain = all(not node.forms.keys() & {OBJECT, ARRAY} for node in self.items)
        return len(self.lengths) == 1 and self.lengths <= set(range(1, MOST_ITEMS + 1)) and plain


def form_of(value: Any) -> str:
    """Which of JSON's forms a value has."""
    if value is None:
        return NULL
    if isinstance(value, Number):
        return NUMBER
    if isinstance(value, str):
        return STRING
    if isinstance(value, bool):
        return BOOLEAN
    return OBJECT if isinstance(value, dict) else ARRAY


def text_of(value: Any) -> str:
    """The text that a rule reads: a string's characters, or the JSON text of anything else."""
    return str(value) if isinstance(value, str) else json.dumps(value)


def at(value: Any, path: Path) -> str | None:
    """The text at a path; None when any part of it is missing, or null."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return None if value is None else text_of(value)


def _few(lengths: set[int]) -> set[int]:
    """Lengths as far as they matter: one, or several."""
    return lengths if len(lengths) < 2 else set(sorted(lengths)[:2])  # noqa: PLR2004
