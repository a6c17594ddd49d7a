"""Names for common patterns within a regular expression: ``%{IP:client}`` is a group ``client`` that matches an address.

The notation and most names are those of Logstash's grok. The patterns are our own: none can backtrack exponentially, and none
captures but where a use of it gives a name.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated

from pydantic import PlainSerializer

from etl.rules.patterns.syntax import PatternError

MAX_LENGTH = 10_000

_USE = re.compile(r"%\{([^{}:]*)(?::([^{}]*))?\}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HEXTET = r"[0-9A-Fa-f]{1,4}"
_QUOTED = r'[^"\\]*(?:\\.[^"\\]*){0,100}'  # counted: Java matches an endless repeat of a group by recursion
_LEVELS = "trace debug info notice warn warning err error crit critical fatal severe alert emerg emergency panic"

LIBRARY = {
    # numbers
    "INT": r"[+-]?\d+",
    "POSINT": r"[1-9]\d*",
    "NUMBER": r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    "HEX": r"(?:0[xX])?[0-9A-Fa-f]+",
    # texts
    "WORD": r"\w+",
    "NOTSPACE": r"\S+",
    "SPACE": r"\s*",
    "DATA": r".*?",
    "GREEDYDATA": r".*",
    "QUOTED": rf'"{_QUOTED}"',
    "USER": r"[A-Za-z0-9._-]+",
    "EMAIL": r"[A-Za-z0-9._%+-]+@%{HOSTNAME}",
    "UUID": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "LOGLEVEL": "(?:" + "|".join(f"{word}|{word.title()}|{word.upper()}" for word in _LEVELS.split()) + ")",
    # networks
    "MAC": r"(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})",
    "IPV4": rf"{_OCTET}(?:\.{_OCTET}){{3}}",
    "IPV6": (  # RFC 4291, section 2.2: eight groups, or fewer about one "::"
        rf"(?:(?:{_HEXTET}:){{7}}{_HEXTET}|(?:{_HEXTET}:){{1,7}}:|"
        + "|".join(rf"(?:{_HEXTET}:){{1,{7 - n}}}(?::{_HEXTET}){{{n}}}" for n in range(1, 7))
        + rf"|:(?::{_HEXTET}){{1,7}}|::)"
    ),
    "IP": r"(?:%{IPV4}|%{IPV6})",
    "HOSTNAME": r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_-]{1,63}){0,30}\.?",
    "HOST": r"(?:%{IP}|%{HOSTNAME})",
    "PORT": r"\d{1,5}",
    "HOSTPORT": r"%{HOST}:%{PORT}",
    "URI": r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>]*",
    "UNIXPATH": r"/\S*",
    "WINPATH": r"(?:[A-Za-z]:|\\)\\[^/:*?\"<>|\r\n]*",
    "PATH": r"(?:%{UNIXPATH}|%{WINPATH})",
    # times
    "YEAR": r"\d{4}",
    "MONTHNUM": r"(?:0[1-9]|1[0-2]|[1-9])",
    "MONTH": r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "MONTHDAY": r"(?:0[1-9]|[12]\d|3[01]|[1-9])",
    "DAY": r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
    "HOUR": r"(?:[01]\d|2[0-3]|\d)",
    "MINUTE": r"[0-5]\d",
    "SECOND": r"(?:[0-5]\d|60)(?:[.,]\d{1,9})?",
    "TIME": r"%{HOUR}:%{MINUTE}:%{SECOND}",
    "ZONE": r"(?:Z|[+-]\d{2}:?\d{2})",
    "DATE": r"%{YEAR}-%{MONTHNUM}-%{MONTHDAY}",
    "TIMESTAMP": r"%{DATE}[T ]%{TIME}(?: ?%{ZONE})?",  # ISO 8601, RFC 3339
    "SYSLOGTIME": r"%{MONTH} +%{MONTHDAY} %{TIME}",  # RFC 3164
    "HTTPTIME": r"%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{ZONE}",
    # whole lines
    "SYSLOG": r"%{SYSLOGTIME:time} %{HOST:host} (?<program>[^\s\[:]+)(?:\[%{POSINT:pid}\])?: %{GREEDYDATA:message}",
    "COMMONLOG": (
        r"%{HOST:client} %{NOTSPACE:ident} %{NOTSPACE:user} \[%{HTTPTIME:time}\] "
        r'"(?:%{WORD:method} %{NOTSPACE:path}(?: HTTP/%{NUMBER:version})?|-)" %{INT:status} (?:%{INT:bytes}|-)'
    ),
    "COMBINEDLOG": rf'%{{COMMONLOG}} "(?<referrer>{_QUOTED})" "(?<agent>{_QUOTED})"',
}
"""Patterns by name; they may use each other."""


def expand(text: str) -> str:
    """``text`` with each ``%{NAME}`` and ``%{NAME:group}`` replaced by what it stands for; other text stays as it is.

    Raises PatternError, with the position in ``text``, for a name that is not in the library or a group that is no name.
    """
    parts, at, length = [], 0, 0
    for use in _USE.finditer(text):
        parts += [text[at : use.start()], _written(use)]
        at, length = use.end(), length + len(parts[-1])
        if length > MAX_LENGTH:
            raise PatternError(f"with its named patterns written out it has more than {MAX_LENGTH:,} characters", use.start())
    return "".join([*parts, text[at:]])


def locate(text: str, position: int) -> int:
    """Where in ``text`` stands what ``expand`` put at ``position``: within a named pattern, its beginning."""
    moved = 0
    for use in _USE.finditer(text):
        start, length = use.start() + moved, len(_written(use))
        if position < start + length:
            return min(position - moved, use.start())
        moved += length - len(use[0])
    return position - moved


def _written(use: re.Match[str]) -> str:
    name, group = use.groups()
    if name not in LIBRARY:
        near = get_close_matches(name.upper(), LIBRARY) or list(LIBRARY)
        raise PatternError(f"there is no pattern named {name!r}: did you mean {', '.join(near)}?", use.start())
    if group is None:
        return f"(?:{expand(LIBRARY[name])})"
    if not _FIELD.fullmatch(group):
        raise PatternError(f"{group!r} is no name of a group: write a letter, then letters, digits and _", use.start())
    return f"(?<{group}>{expand(LIBRARY[name])})"


PatternText = Annotated[str, PlainSerializer(expand)]
"""A pattern in a file of rules. It is recorded, and rule sets are told apart, as written out: a later library changes neither."""
