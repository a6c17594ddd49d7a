"""Groups that differ in what stands between one pair of brackets or quotes, whatever its length, become one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from etl.discovery.templates.masking import MARK

MANY: Final = 8  # different contents make a value, where none of them is one already
WORDS_AROUND: Final = 2
_PAIR = re.compile(r"(?<=\()[^()]*(?=\))|(?<=\[)[^\[\]]*(?=\])|(?<=\{)[^{}]*(?=\})|(?<=\")[^\"]*(?=\")|(?<=')[^']*(?=')")
_WORD = re.compile(r"[^\W\d_]+")


def join_brackets(groups: Iterable[str]) -> dict[str, str]:
    """What each group becomes: itself, or itself with the content of some brackets marked."""
    current = {group: group for group in groups}
    while changes := _round(set(current.values())):
        current = {group: changes.get(now, now) for group, now in current.items()}
    return current


def _round(groups: set[str]) -> dict[str, str]:
    around: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for group in groups:
        for match in _PAIR.finditer(group):
            around[group[: match.start()], group[match.end() :]][match[0]] = group
    changes: dict[str, str] = {}
    for (before, after), contents in sorted(around.items()):
        if len(contents) > 1 and (MARK in contents or len(contents) >= MANY) and _words(before + after) >= WORDS_AROUND:
            for content, group in contents.items():
                if content != MARK:
                    changes.setdefault(group, f"{before}{MARK}{after}")
    return changes


def _words(text: str) -> int:
    return len(_WORD.findall(text))
