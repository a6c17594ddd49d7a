"""How well groups and templates fit labels.

GA and FGA: Zhu et al., "Tools and benchmarks for automated log parsing" (2019), and Jiang et al., "A large-scale evaluation
for log parsing techniques: how far are we?" (Loghub-2.0, 2024). FTA: Khan et al., "Guidelines for assessing the accuracy of
log message template identification techniques" (2022): the F1 of templates whose group is right and whose text is the label's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

_MARK = re.compile(r"<(?:\*|[A-Z]+)>")
_JOINED = re.compile(r"<\*>(?:[:./,@-]?<\*>)+")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of lines in a group that is exactly right; F1 of such groups; F1 of such groups with the right text."""

    ga: float
    fga: float
    fta: float
    groups: int
    labels: int


def judge(groups: Sequence[object], templates: Sequence[str], labels: Sequence[str]) -> Accuracy:
    """Hold the group and the template of each line against its label."""
    found, wanted = _members(groups), _members(labels)
    right_groups = set(wanted.values())
    right = [members for members in found.values() if members in right_groups]
    exact = [members for members in right if _plain(templates[members[0]]) == _plain(labels[members[0]])]
    sizes = len(found), len(wanted)
    return Accuracy(sum(map(len, right)) / len(labels), _f1(len(right), *sizes), _f1(len(exact), *sizes), *sizes)


def _members(names: Sequence[object]) -> dict[object, tuple[int, ...]]:
    members: dict[object, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        members[name].append(i)
    return {name: tuple(lines) for name, lines in members.items()}


def _f1(right: int, found: int, wanted: int) -> float:
    return 2 * right / (found + wanted)


def _plain(template: str) -> str:
    """A template with one kind of mark, marks joined by punctuation alone as one, and single spaces, for every side alike."""
    return " ".join(_JOINED.sub("<*>", _MARK.sub("<*>", template)).split())
