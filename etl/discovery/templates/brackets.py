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
_SET_APART = re.compile(r"[\"']$|\w\[$")
_ONE_WORD = re.compile(r"\w+")
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
        many = MARK in contents or len(contents) >= MANY or _are_words_set_apart(before, contents)
        if len(contents) > 1 and many and _words(before + after) >= WORDS_AROUND:
            for content, group in contents.items():
                if content != MARK:
                    changes.setdefault(group, f"{before}{MARK}{after}")
    return changes


def _are_words_set_apart(before: str, contents: Iterable[str]) -> bool:
    """Whether single words stand between quotes, or in brackets that belong to a word (``state 'idle'``, ``power[off]``)."""
    return bool(_SET_APART.search(before)) and all(map(_ONE_WORD.fullmatch, contents))


def _words(text: str) -> int:
    return len(_WORD.findall(text))
