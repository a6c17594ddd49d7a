"""Sets of characters as sorted ranges of code points, by the definitions of ``java.util.regex.Pattern`` (Java 17)."""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
ALL: Ranges = ((0, LAST),)


def union(parts: Iterable[Ranges]) -> Ranges:
    """The characters that are in any part, as disjoint sorted ranges."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for part in parts for pair in part):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def invert(ranges: Ranges) -> Ranges:
    """Every other character."""
    found, start = [], 0
    for low, high in union([ranges]):
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        found.append((start, LAST))
    return tuple(found)


def single(*codes: int) -> Ranges:
    """Just these characters."""
    return union([((code, code),) for code in codes])


def fold(ranges: Ranges) -> Ranges:
    """``ranges`` with both cases of each ASCII letter in it: what the flag ``(?i)`` matches."""
    extra = []
    for first, other in ((0x41, 0x61), (0x61, 0x41)):
        for low, high in ranges:
            start, end = max(low, first), min(high, first + 25)
            if start <= end:
                extra.append(((start - first + other, end - first + other),))
    return union([ranges, *extra])


def masks(sets: list[Ranges]) -> list[int]:
    """A bit mask for each set, such that two sets share a character exactly when their masks share a bit."""
    cuts = sorted({edge for ranges in sets for low, high in ranges for edge in (low, high + 1)})
    place = {cut: i for i, cut in enumerate(cuts)}
    return [sum((1 << place[high + 1]) - (1 << place[low]) for low, high in ranges) for ranges in sets]


_DIGIT: Ranges = ((0x30, 0x39),)
_LOWER: Ranges = ((0x61, 0x7A),)
_UPPER: Ranges = ((0x41, 0x5A),)
_ALPHA = union([_LOWER, _UPPER])
_ALNUM = union([_ALPHA, _DIGIT])
_SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_HORIZONTAL = union([single(0x09, 0x20, 0xA0, 0x1680, 0x180E, 0x202F, 0x205F, 0x3000), ((0x2000, 0x200A),)])
_VERTICAL = union([((0x0A, 0x0D),), single(0x85, 0x2028, 0x2029)])

LINE_END = single(0x0A, 0x0D, 0x85, 0x2028, 0x2029)
"""What ``.`` does not match without the flag ``(?s)``."""

ESCAPES: dict[str, Ranges] = {
    "d": _DIGIT,
    "w": union([_ALNUM, single(0x5F)]),
    "s": _SPACE,
    "h": _HORIZONTAL,
    "v": _VERTICAL,
}
ESCAPES |= {name.upper(): invert(ranges) for name, ranges in ESCAPES.items()}

POSIX: dict[str, Ranges] = {
    "Lower": _LOWER,
    "Upper": _UPPER,
    "ASCII": ((0x00, 0x7F),),
    "Alpha": _ALPHA,
    "Digit": _DIGIT,
    "Alnum": _ALNUM,
    "Punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "Graph": ((0x21, 0x7E),),
    "Print": ((0x20, 0x7E),),
    "Blank": single(0x09, 0x20),
    "Cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "XDigit": union([_DIGIT, ((0x41, 0x46), (0x61, 0x66))]),
    "Space": _SPACE,
}

UNICODE = frozenset(
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Mc",
        "Me",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Z",
        "Zs",
        "Zl",
        "Zp",
        "C",
        "Cc",
        "Cf",
        "Co",
        "Cn",
        "IsAlphabetic",
        "IsLetter",
        "IsDigit",
        "IsLowercase",
        "IsUppercase",
        "IsPunctuation",
        "IsWhite_Space",
        "IsIdeographic",
        "IsHan",
        "IsLatin",
    ]
)
"""Unicode properties that are taken; the analysis counts each as every character, which can only make it stricter."""
