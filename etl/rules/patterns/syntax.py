"""The parts of a parsed pattern."""

from __future__ import annotations

from dataclasses import dataclass

from etl.rules.patterns.chars import Ranges


class PatternError(Exception):
    """A pattern is not taken: ``position`` is the offending character's, from 0."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other; with none, the empty text. Anchors and boundaries are empty texts here."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``body`` from ``least`` to ``most`` times; ``most`` is None for no limit."""

    body: Node
    least: int
    most: int | None


Node = Chars | Sequence | Choice | Repeat


@dataclass(frozen=True, slots=True)
class Group:
    """A capturing group: its name if it has one, and where its opening token stands in the pattern's text."""

    name: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: its text, its tree and its capturing groups in the order of their opening parentheses."""

    text: str
    tree: Node
    groups: tuple[Group, ...]

    def names(self) -> tuple[str, ...]:
        """The names of the named groups, in order."""
        return tuple(group.name for group in self.groups if group.name)

    def java(self, captured: tuple[str, ...] = ()) -> str:
        """The pattern for Java, whole-match, where the groups of these names capture, by number, and no other.

        Names are left out because Java takes no underscore in one.
        """
        parts, at = [], 0
        for group in self.groups:
            parts += [self.text[at : group.start], "(" if group.name in captured else "(?:"]
            at = group.end
        return rf"\A(?:{''.join(parts)}{self.text[at:]})\z"
