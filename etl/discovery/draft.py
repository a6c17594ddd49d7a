"""A proposal as a file of rules that people read and change: what speaks for each rule stands above it."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from core.contracts import TableName
from etl.discovery.proposal import Candidate, Proposal

_WIDTH = 110


def draft(proposal: Proposal, source: TableName, into: TableName) -> str:
    """The text of the file; ``etl.rules.config`` reads it."""
    header = [
        f"# Proposed from records of {source}, of which half were mined. Of the others",
        f"# {proposal.quarantined:.1%} would go to quarantine. Rules are tried in this order.",
    ]
    header += [f"# {_shown(note)}" for note in proposal.notes]
    header += [f"# no safe pattern: {_shown(template.text)} ({template.lines:,} lines)" for template in proposal.left_out]
    body = ["version: 1", "tables:", f"  - from: {source}", f"    into: {into}", "    rules:"]
    for candidate in proposal.candidates:
        body += [f"      # {line}" for line in reasons(candidate)]
        body += textwrap.indent(to_yaml([candidate.rule]), " " * 6).splitlines()
    if proposal.constraints:
        body.append("    checks:")
    for constraint in proposal.constraints:
        body.append(f"      # {constraint.reason}")
        body += textwrap.indent(to_yaml([constraint.check]), " " * 6).splitlines()
    return "\n".join([*header, *body, ""])


def reasons(candidate: Candidate) -> list[str]:
    """What speaks for a rule, as lines."""
    share, right = f"{candidate.coverage:.1%}", f"{candidate.precision:.1%}"
    measured = f"{candidate.support:,} records; takes {share} of those held out, {right} of them rightly"
    return [measured, *(f"  {_shown(example)}" for example in candidate.examples[:1])]


def _shown(text: str) -> str:
    """One line of printable characters, so that nothing of it can end the comment."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _WIDTH else f"{plain[: _WIDTH - 1]}…"


def to_yaml(document: Any) -> str:
    """YAML as rule files have it."""
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text
