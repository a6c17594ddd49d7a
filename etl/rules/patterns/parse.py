"""Reading of regular expressions in the part of Java's dialect whose running time can be told from the text.

Left out, each with its own message: backreferences, lookaround, nested or intersected classes, flags other than ``i``, ``s``
and ``m`` at the start. Named groups may have underscores, which Java's may not. Possessive quantifiers and atomic groups are
read as plain ones: they try no more than those.
"""

from __future__ import annotations

import re

from etl.rules.patterns import chars
from etl.rules.patterns.classes import ClassReader
from etl.rules.patterns.syntax import Chars, Choice, Group, Node, Pattern, PatternError, Repeat, Sequence

MAX_LENGTH = 10_000
MAX_DEPTH = 50
MAX_COUNT = 1_000

_FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")
_COUNT = re.compile(r"\{(\d{1,9})(?:(,)(\d{1,9})?)?\}")
_NAME = re.compile(r"\(\?<([A-Za-z][A-Za-z0-9_]{0,62})>")
_BOUNDARIES = frozenset("AzZbBG")
_LOOKAROUND = ("(?=", "(?!", "(?<=", "(?<!")


def parse(text: str) -> Pattern:
    """The parsed pattern; raises PatternError with the position of what is wrong or not taken."""
    if len(text) > MAX_LENGTH:
        raise PatternError(f"it has {len(text):,} characters, more than {MAX_LENGTH:,}", MAX_LENGTH)
    reader = _Reader(text)
    tree = reader.choice(0)
    if reader.at < len(text):
        raise PatternError("this ) closes nothing: write \\) for a parenthesis", reader.at)
    return Pattern(text, tree, tuple(reader.groups))


class _Reader(ClassReader):
    """A recursive descent: ``at`` is the next character."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.groups: list[Group] = []
        self._dot = chars.invert(chars.LINE_END)
        if match := _FLAGS.match(text):
            self._set_flags(match[1])
            self.at = match.end()

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise PatternError(f"groups are nested more than {MAX_DEPTH} deep", self.at)
        parts = [self._sequence(depth)]
        while self.peek() == "|":
            self.at += 1
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            start = self.at
            if self.text.startswith("\\Q", start):
                parts += [self._chars(chars.single(ord(c))) for c in self.quoted()]
                if self.peek() in ("*", "+", "?", "{"):
                    raise PatternError("a quantifier after \\Q…\\E: put the quoted text in a group", self.at)
                continue
            atom = self._atom(depth)
            parts.append(self._quantified(atom, start))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self, depth: int) -> Node:
        c = self.text[self.at]
        if c == "(":
            return self._group(depth)
        if c == "[":
            return self._chars(self.bracket())
        if c in "*+?{":
            raise PatternError(f"{c} repeats nothing: write \\{c} for the character", self.at)
        if c in "^$" or (c == "\\" and self.peek(1) in _BOUNDARIES):
            self.at += 1 + (c == "\\")
            return Sequence(())
        if c == "\\":
            return self._chars(self.escape())
        self.at += 1
        return Chars(self._dot) if c == "." else self._chars(chars.single(ord(c)))

    def _group(self, depth: int) -> Node:
        start = self.at
        if self.text.startswith(_LOOKAROUND, start):
            raise PatternError("lookahead and lookbehind are not taken: their running time cannot be told", start)
        if self.text.startswith(("(?:", "(?>"), start):
            self.at += 3
        elif match := _NAME.match(self.text, start):
            self._name(match[1], start, match.end())
        elif self.peek(1) == "?":
            raise PatternError("this kind of group is not taken: use (?<name>…) or (?:…), flags only at the start", start)
        else:
            self.at += 1
            self.groups.append(Group(None, start, self.at))
        body = self.choice(depth + 1)
        if self.peek() != ")":
            raise PatternError("this ( is not closed: write \\( for a parenthesis", start)
        self.at += 1
        return body

    def _name(self, name: str, start: int, end: int) -> None:
        if any(group.name == name for group in self.groups):
            raise PatternError(f"the group name {name!r} stands twice", start)
        self.groups.append(Group(name, start, end))
        self.at = end

    def _quantified(self, atom: Node, start: int) -> Node:
        quantifier = self._quantifier()
        if quantifier is None:
            return atom
        if atom == Sequence(()):
            raise PatternError("a quantifier repeats an anchor or an empty group", start)
        if self.peek() in ("?", "+"):  # lazy and possessive
            self.at += 1
        if self.peek() in ("*", "+", "?", "{"):
            raise PatternError("a quantifier after a quantifier: put the first in a group", self.at)
        least, most = quantifier
        return atom if (least, most) == (1, 1) else Repeat(atom, least, most)

    def _quantifier(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if found := simple.get(self.peek()):
            self.at += 1
            return found
        if self.peek() != "{":
            return None
        match = _COUNT.match(self.text, self.at)
        if match is None:
            raise PatternError("{ is no count: write {2}, {2,} or {2,5}, or \\{ for the character", self.at)
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if max(least, most or 0) > MAX_COUNT:
            raise PatternError(f"a count above {MAX_COUNT:,} is not taken", self.at)
        if most is not None and (most < least or most == 0):
            raise PatternError("a count whose end is 0 or before its start", self.at)
        self.at = match.end()
        return least, most

    def _chars(self, ranges: chars.Ranges) -> Chars:
        return Chars(chars.fold(ranges) if self.ignore_case else ranges)

    def _set_flags(self, flags: str) -> None:
        if unknown := set(flags) - set("ism"):
            raise PatternError(f"flag {min(unknown)!r} is not taken: only i, s and m, at the start", 2)
        self.ignore_case = "i" in flags
        if "s" in flags:
            self._dot = chars.ALL
