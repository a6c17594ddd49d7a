"""Templates as found: their text, how many lines they have, and which template a line belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, overload

from etl.discovery.templates.masking import MARK, mask, squeeze, tighten
from etl.discovery.templates.reduction import Form, reduce, take_apart

REMEMBERED: Final = 65_536  # squeezed lines
_TOKEN = re.compile(r"<\*>|\s+|\w+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Template:
    """What lines of one kind have in common, with ``<*>`` for each value; ``lines`` counts those of the kept signatures."""

    text: str
    lines: int


def common_text(signatures: Sequence[str], group: str) -> str:
    """The text of a group: its signatures', marked where they differ; the group's form if they differ in more than words."""
    tokens = [_TOKEN.findall(signature) for signature in signatures]
    if len({len(line) for line in tokens}) > 1:
        return group
    columns = [set(column) for column in zip(*tokens, strict=True)]
    if any(len(column) > 1 and not all(token == MARK or token[0].isalnum() for token in column) for column in columns):
        return group
    text = "".join(next(iter(column)) if len(column) == 1 else MARK for column in columns)
    return text.replace("0", MARK)  # what is left of squeezed digits, in the name of a key


class Templates(Sequence[Template]):
    """The templates of a log, commonest first, and the way from a line to its template."""

    def __init__(self, signatures: dict[str, int], forms: dict[str, str], groups: dict[str, str], masked: dict[str, str]) -> None:
        """``forms`` are the signatures' reduced forms, ``groups`` the forms' groups; ``masked`` holds signatures of lines."""
        members: dict[str, list[str]] = defaultdict(list)
        for signature in sorted(signatures):
            members[groups[forms[signature]]].append(signature)
        found = [(sum(signatures[s] for s in held), common_text(held, group), group) for group, held in members.items()]
        found.sort(key=lambda one: (-one[0], one[1], one[2]))
        self._templates = [Template(text, lines) for lines, text, _ in found]
        number = {group: i for i, (_, _, group) in enumerate(found)}
        self._by_signature = {signature: number[group] for group, held in members.items() for signature in held}

        self._by_form = {form: number[group] for form, group in groups.items()}
        self._known: dict[str, int | None] = {}
        self._masked = masked
        self._by_skeleton: dict[tuple[str, ...], list[tuple[Form, int]]] = defaultdict(list)
        for group, i in sorted(number.items()):
            form = take_apart(group)
            self._by_skeleton[form.separators].append((form, i))

    def __len__(self) -> int:
        return len(self._templates)

    @overload
    def __getitem__(self, index: int) -> Template: ...

    @overload
    def __getitem__(self, index: slice) -> list[Template]: ...

    def __getitem__(self, index: int | slice) -> Template | list[Template]:
        return self._templates[index]

    def match(self, lines: Iterable[str]) -> list[int | None]:
        """The number of each line's template; None where no template fits."""
        return self.match_squeezed(squeeze(list(lines)))

    def match_squeezed(self, squeezed: Sequence[str]) -> list[int | None]:
        """As ``match``, for lines that have been squeezed."""
        known = self._known
        if len(known) > REMEMBERED:
            known.clear()
        known.update(
            {
                line: self._find(self._masked.get(tight) or mask(tight))
                for line, tight in tighten(set(squeezed) - known.keys()).items()
            }
        )
        return [known[line] for line in squeezed]

    def _find(self, signature: str) -> int | None:
        found = self._by_signature.get(signature)
        if found is not None:
            return found
        reduced = reduce(signature)
        found = self._by_form.get(reduced)
        return found if found is not None else self._fitting(take_apart(reduced))

    def _fitting(self, form: Form) -> int | None:
        """The template with the most words of those whose words are all the form's."""
        fitting = [
            (sum(piece != MARK for piece in known.pieces), -i)
            for known, i in self._by_skeleton.get(form.separators, ())
            if all(a in (MARK, b) for a, b in zip(known.pieces, form.pieces, strict=True))
        ]
        return -max(fitting)[1] if fitting else None
