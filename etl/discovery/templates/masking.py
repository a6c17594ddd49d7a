"""Lines to signatures: what is a value by its form alone becomes a mark.

A piece is a run of characters between separators: white space, ``= , ; : | " '`` and brackets. Masked are pieces with a digit
(numbers, hexadecimal, addresses, versions, UUIDs, times), dates, hardware addresses, URLs, e-mail addresses, paths, names of
two dots or more (hosts, classes), lower-case names with a dot and a port, Booleans and nulls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

MARK: Final = "<*>"
SEPARATORS: Final = r"\s=,;:()\[\]{}\"'<>|"
LONGEST: Final = 4096  # characters of a line that are looked at; what follows counts as a value

_ZEROS = str.maketrans("123456789", "0" * 9)
_AFTER_DIGIT = re.compile(r"0[\w-]+(?:\.\w[\w-]*)*+")
_PIECE = rf"[^{SEPARATORS}]"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_ZONE = r"(?:UTC|GMT|[A-Z]{1,3}[DS]?T)"
_NOT_END = r"(?<![.!?])"  # what ends a sentence does not belong to its last value
# The forms of values, at the start of a piece. They see lines whose runs of digits are already a single 0.
_FORMS = rf"""
      [A-Za-z][A-Za-z+.-]*+://[^\s,;"'<>()\[\]{{}}|]+
    | (?:{_DAY},?[ ]+)?(?:{_MONTH}[ ]+0|0[ ]+{_MONTH})(?!{_PIECE})(?:,?[ ]+0:0(?::0)?(?:[.,]0)?)?(?:[ ]{_ZONE}(?=[ ]0))?
    | [0-9A-Fa-f]{{1,4}}(?:::?[0-9A-Fa-f]{{1,4}}){{3,}}(?!{_PIECE})
    | \[(?=[0:]*[A-Fa-f]|[0:]*::)[0-9A-Fa-f]{{0,4}}(?:::?[0-9A-Fa-f]{{1,4}}){{2,}}\]
    | (?![A-Za-z]\w*=)(?:(?<!-)[<>]=?[ ]?)?(?:[^{SEPARATORS}\d.]|\.(?!\.))*+\d{_PIECE}*{_NOT_END}
    | [a-z][a-z0-]*+(?:\.[a-z0-]++)+:0(?!\w)
    | /{_PIECE}+{_NOT_END}
    | [^{SEPARATORS}/]++/[^{SEPARATORS}/]*+/{_PIECE}*{_NOT_END}
    | (?:[A-Za-z]:\\|\\\\){_PIECE}+
    | (?:true|false|null|True|False|NULL|TRUE|FALSE|None)(?![^{SEPARATORS}.])
    | [0-9a-fA-F]{{8}}(?![^{SEPARATORS}.])
    | [^{SEPARATORS}@]++@{_PIECE}+\.{_PIECE}*\w
    | [A-Za-z_][\w$-]*+(?:\.[\w$-]+){{2,}}(?:/[\w.$-]*\w)?
"""
_VALUE = re.compile(rf"(?<!{_PIECE})(?:{_FORMS})", re.VERBOSE)
_VALUE_AFTER_DOTS = re.compile(rf"(?:(?<!{_PIECE})|(?<=\.\.))(?:{_FORMS})", re.VERBOSE)  # as in ``errors........3``


def squeeze(lines: Sequence[str]) -> list[str]:
    """The lines with each run of digits made one ``0``: equal for lines that differ in plain numbers only."""
    if lines and len(max(lines, key=len)) > LONGEST:
        lines = [line if len(line) <= LONGEST else f"{line[:LONGEST]}{MARK}" for line in lines]
    squeezed = _without_runs("\n".join(lines)).split("\n")
    return squeezed if len(squeezed) == len(lines) else [_without_runs(line) for line in lines]


def tighten(squeezed: Iterable[str]) -> dict[str, str]:
    """Each squeezed line with what follows a digit in a piece left out: masking takes the whole piece in any case."""
    distinct = list(squeezed)
    tight = _AFTER_DIGIT.sub("0", "\n".join(distinct)).split("\n")
    return dict(zip(distinct, tight if len(tight) == len(distinct) else distinct, strict=True))


def mask(squeezed: str) -> str:
    """The signature of a squeezed line: its values marked, its white space single."""
    pattern = _VALUE_AFTER_DOTS if ".." in squeezed else _VALUE
    return " ".join(pattern.sub(MARK, squeezed).split())


def _without_runs(text: str) -> str:
    # Twice as fast as a regular expression, and what mining costs.
    text = text.translate(_ZEROS).replace("0000", "0")
    while "00" in text:
        text = text.replace("00", "0")
    return text
