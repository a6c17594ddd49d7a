"""Which kind of rules explains records best: each kind is tried on the first of them, and judged on those held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from core.errors import SourceError
from etl.discovery import rules
from etl.discovery.columns.inclusion import Inclusion, foreign_keys
from etl.discovery.documents import dialect
from etl.discovery.documents import rules as document_rules
from etl.discovery.documents.readers import JSON, FixedReader, Reader, SeparatedReader
from etl.discovery.documents.survey import Documents
from etl.discovery.proposal import Constraint, Proposal
from etl.discovery.records import Records
from etl.discovery.survey import Survey

TRIED: Final = 10_000
_LOOKED_AT: Final = 2_000
_SENTENCE: Final = 3  # words


class Kind(StrEnum):
    """What records may be; ``log`` are lines of many statements."""

    JSON = "json"
    DELIMITED = "delimited"
    PAIRS = "keyvalue"
    SEPARATED = "separated"
    FIXED = "fixed"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind, how a sketch for it is made, and one line that says why."""

    kind: Kind
    make: Callable[[], Survey | Documents]
    reason: str


def choose(records: Records, header: str | None, *, may_begin_with_header: bool, kind: Kind | None = None) -> Choice:
    """The kind that costs least, or the one that is asked for. Raises SourceError when the records cannot be of that kind.

    A held-out record that no rule reads costs one, and so does each rule. Where columns have no names a record costs one as well
    when a column of it holds a sentence: that is what the rules of a log take apart.
    """
    texts = [text for _, text in records[:_LOOKED_AT]]
    readers = _readers(texts, header, may_begin_with_header=may_begin_with_header)
    if kind is not None:
        if kind is Kind.LOG:
            return Choice(kind, Survey, f"kind {kind}, as asked for")
        if kind not in readers:
            raise SourceError(f"the records cannot be read as {kind}: leave --kind out, and the kind is found")
        return Choice(kind, partial(Documents, readers[kind]), f"kind {kind}, as asked for")
    costs = {one: cost for one, reader in readers.items() if (cost := _cost(reader, records[:TRIED])) is not None}
    if min(costs.values(), default=_SENTENCE) > 1:
        survey = Survey()
        survey.add(records[:TRIED])
        proposal = rules.propose_from(survey)
        costs[Kind.LOG] = round(proposal.quarantined * max(survey.held_out.records, 1)) + len(proposal.candidates)
    best = min(costs, key=lambda one: (costs[one], one is Kind.FIXED))
    shown = ", ".join(f"{one} {costs[one]:,}" for one in sorted(costs, key=costs.__getitem__))
    reason = f"kind {best}: records lost plus rules, among {min(len(records), TRIED):,} records: {shown}"
    return Choice(best, Survey if best is Kind.LOG else partial(Documents, readers[best]), reason)


def proposal_of(sketch: Survey | Documents) -> Proposal | None:
    """The rules for what was seen; None when there is nothing to make a rule of."""
    if isinstance(sketch, Survey):
        proposal = rules.propose_from(sketch)
        return proposal if proposal.candidates else None
    return document_rules.propose(sketch)


def leads_to(sketch: Survey | Documents, table: str, records: Records, header: str | None) -> list[Constraint]:
    """A check of each field that is a foreign key of the table of that name, whose records are given."""
    if not isinstance(sketch, Documents):
        return []
    readers = _readers([text for _, text in records[:_LOOKED_AT]], header, may_begin_with_header=False)
    reader = next((readers[kind] for kind in (Kind.JSON, Kind.DELIMITED) if kind in readers), None)
    if reader is None:
        raise SourceError(f"{table}: its records have no named columns: --reference is for tables of rows, documents and CSV")
    other = Documents(reader)
    other.add((0, text) for _, text in records)  # none is held out
    found = foreign_keys(document_rules.values_of(sketch), table, document_rules.values_of(other))
    return [_foreign_key(one) for one in found]


def _foreign_key(one: Inclusion) -> Constraint:
    check = {
        "name": f"{one.column}_of_{one.table}",
        "kind": "foreign_key",
        "columns": [one.column],
        "table": f"extracted.{one.table}",
        "references": [one.key],
    }
    return Constraint(check, f"all {one.compared:,} values that could be looked for are there")


def _readers(texts: Sequence[str], header: str | None, *, may_begin_with_header: bool) -> Mapping[Kind, Reader]:
    named = dialect.delimited(texts, header) if header is not None or may_begin_with_header else None
    found: dict[Kind, Reader | None] = {
        Kind.JSON: JSON if any(JSON.read(text) is not None for text in texts) else None,
        Kind.DELIMITED: named,
        Kind.PAIRS: dialect.pairs(texts),
        Kind.SEPARATED: dialect.unnamed(texts),
        Kind.FIXED: dialect.fixed(texts),
    }
    return {kind: reader for kind, reader in found.items() if reader is not None}


def _cost(reader: Reader, records: Records) -> int | None:
    sketch = Documents(reader)
    sketch.add(records)
    proposal = document_rules.propose(sketch)
    if proposal is None:
        return None
    held = sketch.held_out.texts()
    lost = round(proposal.quarantined * len(held)) * sketch.held_out.records // max(len(held), 1)
    if isinstance(reader, SeparatedReader | FixedReader):
        lost += sum(map(partial(_has_sentence, reader), held)) * sketch.held_out.records // max(len(held), 1)
    return lost + len(proposal.candidates)


def _has_sentence(reader: Reader, text: str) -> bool:
    return any(len(cell.split()) >= _SENTENCE for cell in (reader.read(text) or {}).values())
