"""Forms to groups: positions at which otherwise equal forms differ as values do become marks.

Evidence that a position holds a value, and not one of several statements' words, for forms equal in all other positions:

- one of them has a mark there, or all have names there (a dot, slash, underscore or digit inside, not all capitals);
- many different words stand there: more for a first word, participles, capitals (states), and where one other word is left;
- the words are values elsewhere, or three of them alternate in another context as well.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from etl.discovery.templates.masking import MARK
from etl.discovery.templates.rarity import rare_places
from etl.discovery.templates.reduction import Form

# How many different words make a value, where nothing else speaks for one. The groups of known logs hardly depend on them.
MANY: Final = 5
MANY_LONELY: Final = 8
MANY_CAPITALS: Final = 12
MANY_FIRST: Final = 20
SHARED: Final = 3
_NAME = re.compile(r"\w[._/\\@]\w|\d")
_FIRST_NAME = re.compile(r"\w[./\\@]\w|\d")  # an underscore makes the name of a function, which begins many statements
_PARTICIPLE = re.compile(r"\w{2}(?:ed|ing)$")
_LETTER = re.compile(r"[^\W\d_]")

Pieces = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The different pieces at one position of forms that are equal in all others."""

    separators: tuple[str, ...]
    position: int
    others: Pieces
    found: frozenset[str]

    def words_left(self) -> int:
        """How many other pieces are words."""
        return sum(1 for piece in self.others if piece != MARK and _LETTER.search(piece))

    def is_value(self) -> bool:
        """Whether the pieces alone show that they are values."""
        words, many = self.words_left(), len(self.found)
        if not words:
            return False
        first = not self.position and not self.separators[0]
        if MARK in self.found and not first:
            return True
        capitals = sum(piece.isupper() for piece in self.found)
        name = _FIRST_NAME if first else _NAME
        if not capitals and all(name.search(piece) for piece in self.found - {MARK}):
            return True
        if first or 2 * self.participles() > many:
            return many >= MANY_FIRST
        if 2 * capitals > many:
            return many >= MANY_CAPITALS
        return many >= (MANY if words > 1 else MANY_LONELY)

    def may_be_value(self) -> bool:
        """Whether evidence from other forms may make them values."""
        return self.position > 0 and self.words_left() > 1 and not self.participles()

    def participles(self) -> int:
        """How many pieces say what happened (``started``, ``stopped``), which a statement says itself."""
        return sum(1 for piece in self.found if _PARTICIPLE.search(piece))


class Grouping:
    """Forms and what has become of their pieces; equal pieces are one group."""

    def __init__(self, forms: Iterable[Form], values: set[str]) -> None:
        self.values = set(values)
        self.pieces: dict[tuple[str, ...], dict[Pieces, Pieces]] = defaultdict(dict)
        for form in forms:
            self.pieces[form.separators][form.pieces] = form.pieces

    def run(self) -> dict[Form, Form]:
        """The group of each form: the form with its values marked."""
        changed = set(self.pieces)
        while changed:
            self._settle(changed)
            doubtful = [choice for key in self.pieces for choice in self._choices(key) if choice.may_be_value()]
            shared = _shared(doubtful)
            changed = self._mark([choice for choice in doubtful if choice.found in shared or choice.found <= self.values])
        return {Form(key, old): Form(key, new) for key, pairs in self.pieces.items() for old, new in pairs.items()}

    def _settle(self, keys: set[tuple[str, ...]]) -> None:
        while keys:
            changed = self._mark([choice for key in keys for choice in self._choices(key) if choice.is_value()])
            keys = changed or {key for key in keys if self._mark_places(key, rare_places(set(self.pieces[key].values())))}

    def _choices(self, separators: tuple[str, ...]) -> Iterator[Choice]:
        current = set(self.pieces[separators].values())
        if len(current) < 2:  # noqa: PLR2004  a choice is between two
            return
        for position in range(len(separators) - 1):
            found: dict[Pieces, set[str]] = defaultdict(set)
            for pieces in current:
                found[pieces[:position] + pieces[position + 1 :]].add(pieces[position])
            for others, alternatives in found.items():
                if len(alternatives) > 1:
                    yield Choice(separators, position, others, frozenset(alternatives))

    def _mark(self, choices: list[Choice]) -> set[tuple[str, ...]]:
        """Mark the positions of the choices; the separators of the forms that changed."""
        positions: dict[tuple[str, ...], dict[Pieces, set[int]]] = defaultdict(lambda: defaultdict(set))
        for choice in choices:
            at = choice.position
            for piece in choice.found - {MARK}:
                positions[choice.separators][(*choice.others[:at], piece, *choice.others[at:])].add(at)
            self.values |= choice.found - {MARK}
        return {key for key, places in positions.items() if self._mark_places(key, places)}

    def _mark_places(self, separators: tuple[str, ...], places: Mapping[Pieces, set[int]]) -> bool:
        """Mark the given places of the pieces; whether there were any."""
        pairs = self.pieces[separators]
        for old, new in pairs.items():
            if new in places:
                pairs[old] = tuple(MARK if i in places[new] else piece for i, piece in enumerate(new))
        return bool(places)


def _shared(choices: Iterable[Choice]) -> set[frozenset[str]]:
    """The sets of alternatives of which three words or more alternate in another choice too."""
    times = Counter(choice.found for choice in choices if len(choice.found) >= SHARED)
    sets = [found for found in times if not any(piece.isupper() for piece in found)]
    places: dict[str, list[int]] = defaultdict(list)
    for i, found in enumerate(sets):
        for piece in found:
            places[piece].append(i)
    shared = {found for found in sets if times[found] > 1}
    for i, found in enumerate(sets):
        common = Counter(other for piece in found for other in places[piece] if other != i)
        if any(count >= SHARED for count in common.values()):
            shared.add(found)
    return shared
