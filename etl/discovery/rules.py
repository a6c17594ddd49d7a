"""Templates to rules: regular expressions with typed, named fields, each with what speaks for it.

Half of the lines are mined, the others are held out: on them a rule's precision and the share that no rule takes are measured.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from core.errors import RuleError
from etl.discovery.expression import Expression, fit
from etl.discovery.names import slug, unique
from etl.discovery.proposal import Candidate, Proposal
from etl.discovery.survey import Survey
from etl.discovery.templates.examples import SAMPLE
from etl.discovery.templates.masking import MARK
from etl.discovery.templates.reduction import mark_assigned
from etl.discovery.templates.template import Template, Templates
from etl.discovery.values import format_of, reads, type_of, wider, word_for
from etl.rules.fields import FieldType
from etl.rules.kinds.regex import RegexRule

EXAMPLES: Final = 3
_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE"
_LEVEL = re.compile(rf"(?:^|[\s\[<(])({_LEVELS}|{_LEVELS.lower()})(?=[\s\]>):]|$)")
_NEVER = re.compile(r"(?!)")
_KEY = re.compile(r"([A-Za-z][\w.-]*)[\"']?\s*[=:]\s*[\"'(\[{</]?$")
_WORD_BEFORE = re.compile(r"([A-Za-z][\w-]*)\W*$")
_PID = re.compile(r"[\w/.)-]\[$")


@dataclass(slots=True)
class _Draft:
    number: int
    template: Template
    examples: tuple[str, ...]
    pattern: re.Pattern[str]
    fields: dict[str, FieldType]
    formats: dict[str, str | None]
    name: str = ""

    def rule(self) -> dict[str, Any]:
        """The rule in the form of a rule file."""
        fields = {}
        for name, kind in self.fields.items():
            form = self.formats.get(name) if kind is FieldType.TIMESTAMP else None
            fields[name] = {"type": kind.value} | ({"format": form} if form else {})
        pattern = self.pattern.pattern.replace("(?P<", "(?<")
        return {"name": self.name, "kind": "regex", "pattern": f"^{pattern}$", "fields": fields}


def propose(lines: Sequence[str]) -> Proposal:
    """Rules for the records of a log, the most specific first."""
    survey = Survey()
    survey.add(enumerate(lines))
    return propose_from(survey)


def propose_from(survey: Survey) -> Proposal:
    """Rules for the records that were surveyed."""
    if not survey.miner.lines:
        survey.mine(survey.held_out.texts())
    templates = survey.miner.templates()
    examples = survey.examples()
    drafts = _drafts(templates, examples)
    _name_rules(drafts)
    _agree(drafts)
    safe = [draft for draft in drafts if _is_safe(draft)]
    kept = {draft.number for draft in safe}
    left_out = tuple(template for number, template in enumerate(templates) if number not in kept)
    held = survey.held_out.texts() or [line for lines in examples.values() for line in lines]
    return _measure(safe, left_out, templates.match(held), held)


def _drafts(templates: Templates, examples: Mapping[str, Sequence[str]]) -> list[_Draft]:
    """One of each template, from lines of all its signatures in turn."""
    shown: dict[int, list[list[str]]] = defaultdict(list)
    numbers = templates.match([lines[0] for lines in examples.values()])
    for lines, number in zip(examples.values(), numbers, strict=True):
        readable = [line for line in lines if line.strip() and line.replace("\t", " ").isprintable()]
        if number is not None and readable:
            shown[number].append(readable)
    samples = {
        number: [line for turn in zip_longest(*held) for line in turn if line is not None][:SAMPLE]
        for number, held in shown.items()
    }
    fitted = [(number, fit(mark_assigned(templates[number].text), sample)) for number, sample in samples.items()]
    drafts = [_draft(n, templates[n], samples[n], expression) for n, expression in fitted if expression is not None]
    return sorted(drafts, key=lambda draft: (-len(draft.template.text.replace(MARK, "")), draft.template.text))


def _draft(number: int, template: Template, sample: Sequence[str], expression: Expression) -> _Draft:
    fields: dict[str, FieldType] = {}
    formats: dict[str, str | None] = {}
    for i, texts in enumerate(expression.columns):
        name = unique(_field_name("".join(expression.constants[: i + 1]), texts), {*fields, "level"})
        fields[name], formats[name] = type_of(texts), format_of(texts)
    text = expression.pattern(list(fields), _LEVEL)
    if "(?P<level>" in text:
        fields["level"] = FieldType.STRING
    if not fields:
        text, fields = f"(?P<message>{expression.pattern([], _NEVER)})", {"message": FieldType.STRING}
    return _Draft(number, template, tuple(sample[:EXAMPLES]), re.compile(text), fields, formats)


def _field_name(before: str, texts: Collection[str]) -> str:
    """A value's key, or what it is, or the word before it."""
    if _PID.search(before) and type_of(texts) in (FieldType.INT, FieldType.LONG):
        return "pid"
    word = word_for(texts)
    key = _KEY.search(before) or (_WORD_BEFORE.search(before) if word in ("number", "text") else None)
    return slug(key[1]) if key else word


def _name_rules(drafts: Iterable[_Draft]) -> None:
    taken: set[str] = set()
    for draft in drafts:
        words = re.findall(r"[A-Za-z]+", draft.template.text.replace(MARK, " "))
        draft.name = unique(slug("_".join(words[:5]) or "line"), taken)
        taken.add(draft.name)


def _agree(drafts: Sequence[_Draft]) -> None:
    """A field has one type in all rules: the widest."""
    types: dict[str, FieldType] = {}
    for draft in drafts:
        for name, kind in draft.fields.items():
            types[name] = wider(types.get(name, kind), kind)
    for draft in drafts:
        draft.fields = {name: types[name] for name in draft.fields}


def _is_safe(draft: _Draft) -> bool:
    try:
        RegexRule.model_validate(draft.rule()).verify(draft.name)
    except RuleError:
        return False
    return True


def _measure(
    drafts: Sequence[_Draft],
    left_out: tuple[Template, ...],
    numbers: Sequence[int | None],
    held: Sequence[str],
) -> Proposal:
    taken, right = [0] * len(drafts), [0] * len(drafts)
    for line, number in zip(held, numbers, strict=True):
        for i, draft in enumerate(drafts):
            if match := draft.pattern.fullmatch(line):
                taken[i] += 1
                right[i] += number == draft.number and all(reads(match[name], kind) for name, kind in draft.fields.items())
                break
    total = max(len(held), 1)
    candidates = tuple(
        Candidate(
            draft.rule(), draft.template.text, draft.template.lines, taken[i] / total, right[i] / max(taken[i], 1), draft.examples
        )
        for i, draft in enumerate(drafts)
    )
    return Proposal(candidates, 1 - sum(right) / total, left_out)
