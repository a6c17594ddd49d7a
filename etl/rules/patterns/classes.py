"""Reading of escapes and of bracketed character classes."""

from __future__ import annotations

import re

from etl.rules.patterns import chars
from etl.rules.patterns.syntax import PatternError

_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|x\{([0-9a-fA-F]{1,6})\})")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\w+)\}|(\w))")
_CONTROLS = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C, "a": 0x07, "e": 0x1B}


class ClassReader:
    """The characters of ``text`` from ``at`` on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ignore_case = False

    def peek(self, ahead: int = 0) -> str:
        """A character to come; empty at the end."""
        return self.text[self.at + ahead : self.at + ahead + 1]

    def quoted(self) -> str:
        r"""The text between ``\Q`` and ``\E``."""
        end = self.text.find("\\E", self.at + 2)
        if end < 0:
            raise PatternError("\\Q is not closed: write \\E", self.at)
        found, self.at = self.text[self.at + 2 : end], end + 2
        return found

    def escape(self) -> chars.Ranges:
        """The set that the escape here stands for."""
        start, c = self.at, self.peek(1)
        if not c:
            raise PatternError("a \\ at the end: write \\\\ for the character", start)
        if c in "123456789k":
            raise PatternError("backreferences are not taken: their running time cannot be told", start)
        if match := _CODE.match(self.text, start):
            code = int(match[1] or match[2] or match[3], 16)
            if code > chars.LAST or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 — surrogates
                raise PatternError("this code is no character", start)
            self.at = match.end()
            return chars.single(code)
        if c in "pP":
            return self._property()
        self.at += 2
        if c in chars.ESCAPES:
            return chars.ESCAPES[c]
        if c in _CONTROLS:
            return chars.single(_CONTROLS[c])
        if c.isascii() and c.isalnum():
            raise PatternError(f"the escape \\{c} is not taken", start)
        return chars.single(ord(c))

    def _property(self) -> chars.Ranges:
        match = _PROPERTY.match(self.text, self.at)
        name = (match[2] or match[3]) if match else ""
        if match is None or (name not in chars.POSIX and name not in chars.UNICODE):
            known = ", ".join(sorted(chars.POSIX))
            raise PatternError(f"the property {name!r} is not taken: use {known}, or a Unicode category such as L or Nd", self.at)
        self.at = match.end()
        if name in chars.UNICODE:
            return chars.ALL
        return chars.invert(chars.POSIX[name]) if match[1] == "P" else chars.POSIX[name]

    def bracket(self) -> chars.Ranges:
        """The set of the class that opens here."""
        start = self.at
        self.at += 1
        negated = self.peek() == "^"
        self.at += negated
        parts: list[chars.Ranges] = []
        if self.peek() == "]":
            raise PatternError("a class that opens with ]: write \\] for the character", self.at)
        while self.peek() != "]":
            if not self.peek():
                raise PatternError("this [ is not closed: write \\[ for the character", start)
            parts.append(self._member())
        self.at += 1
        found = chars.union(parts)
        if self.ignore_case:
            found = chars.fold(found)
        # a Unicode property counts as every character, in and out of a negated class
        return found if not negated else chars.ALL if chars.ALL in parts else chars.invert(found)

    def _member(self) -> chars.Ranges:
        start = self.at
        low = self._one()
        if self.peek() != "-" or self.peek(1) in ("", "]"):
            return low
        self.at += 1
        high = self._one()
        if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1] or low[0][0] > high[0][0]:
            raise PatternError("this is no range: write a-z, or \\- for the character", start)
        return ((low[0][0], high[0][0]),)

    def _one(self) -> chars.Ranges:
        c = self.peek()
        if c == "[":
            raise PatternError("a class within a class is not taken: write \\[ for the character", self.at)
        if self.text.startswith("&&", self.at):
            raise PatternError("&& in a class is not taken: write \\& for the character", self.at)
        if self.text.startswith("\\Q", self.at):
            raise PatternError("\\Q in a class is not taken: escape each character", self.at)
        if c == "\\":
            return self.escape()
        self.at += 1
        return chars.single(ord(c))
