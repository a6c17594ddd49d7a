"""``maas rules drift``: when more records than before are taken by no rule, rules for them are proposed as the next version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.database.configurations import Configuration
from core.lake.catalog import Lake
from core.settings import Settings
from etl.discovery.choose import choose, proposal_of
from etl.discovery.extend import extend
from etl.discovery.proposal import Candidate
from etl.discovery.unmatched import Extraction, extractions, unmatched
from etl.rules.config import TableRules
from jobs.pipeline import Loaded
from jobs.rules import load_in_force, push_text, text_in_force
from monitoring.alerts import write_alert
from monitoring.proportions import risen


@dataclass(frozen=True, slots=True)
class TableDrift:
    """One table: its newest extraction, those before, and how likely it is by chance that so many records were taken by no rule.

    ``candidates`` are rules for them, where that is less likely than the significance.
    """

    table: str
    newest: Extraction
    before: tuple[int, int]
    """Of the extractions before: the records that no rule took, and all."""
    probability: float
    drifted: bool
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesDrift:
    """All tables of a pipeline that were extracted twice at least, and the version that was proposed, if one was."""

    rules: str
    tables: tuple[TableDrift, ...]
    proposed: Configuration | None = None

    @property
    def drifted(self) -> list[TableDrift]:
        """The tables where the share rose."""
        return [table for table in self.tables if table.drifted]


def examine_rules(settings: Settings, pipeline: str, *, significance: float, records: int) -> RulesDrift:
    """Hold the newest extraction of each table of a pipeline against those before it.

    Where the share of records that no rule takes rose, rules are made of up to ``records`` of them; the rules in force with these
    appended are kept as the next version in the configuration database, a draft, and an alert is written. Nothing is activated.
    Raises ConfigError, TableError or StorageError.
    """
    loaded, lake = load_in_force(settings, pipeline), Lake.of(settings)
    name = loaded.extraction.rules
    there = [table for table in loaded.rules.tables if lake.exists(table.into)]
    looked_at = [_examine(lake, table, f"{pipeline}/extract/{table.into}", significance, records) for table in there]
    found = [one for one in looked_at if one is not None]
    if not any(one.drifted for one in found):
        return RulesDrift(name, tuple(found))
    tables = {str(table.into): table for table in loaded.rules.tables}
    proposed = _propose(settings, loaded, [(tables[one.table], one.candidates) for one in found if one.candidates])
    drift = RulesDrift(name, tuple(found), proposed)
    _alert(settings, pipeline, drift)
    return drift


def _examine(lake: Lake, table: TableRules, app: str, significance: float, records: int) -> TableDrift | None:
    done = extractions(lake, table.into, app)
    if len(done) < 2:  # noqa: PLR2004  one, and one to hold it against
        return None
    newest, earlier = done[0], done[1:]
    before = sum(one.unmatched for one in earlier), sum(one.records for one in earlier)
    probability = risen(before, (newest.unmatched, newest.records))
    drifted = newest.unmatched > 0 and probability < significance
    candidates = _candidates(lake, table, newest, records) if drifted else ()
    return TableDrift(str(table.into), newest, before, probability, drifted, candidates)


def _candidates(lake: Lake, table: TableRules, newest: Extraction, records: int) -> tuple[Candidate, ...]:
    """Rules that take records held out: of what came once no rule is made."""
    found = unmatched(lake, table.quarantine, newest, records)
    if not found or table.config.match != "first":  # more rules that take a record make more rows of it
        return ()
    sketch = choose(found, None, may_begin_with_header=False).make()
    sketch.add(found)
    proposal = proposal_of(sketch)
    return tuple(one for one in proposal.candidates if one.coverage > 0) if proposal else ()


def _propose(settings: Settings, loaded: Loaded, more: Sequence[tuple[TableRules, Sequence[Candidate]]]) -> Configuration | None:
    if not more:
        return None
    text = text_in_force(settings, loaded)
    for table, candidates in more:
        text = extend(text, table, candidates)
    name = loaded.extraction.rules
    return push_text(settings, text, name, f"the rules proposed for {name}")[0]


def _alert(settings: Settings, pipeline: str, drift: RulesDrift) -> None:
    first = drift.drifted[0]
    message = (
        f"pipeline {pipeline}: {first.table}: no rule takes {first.newest.unmatched:,} of {first.newest.records:,} new records, "
        f"{first.before[0]:,} of {first.before[1]:,} before"
    )
    facts: dict[str, Any] = {
        "pipeline": pipeline,
        "rules": drift.rules,
        "tables": [one.table for one in drift.drifted],
        "proposed_rules": sum(len(one.candidates) for one in drift.drifted),
        "proposed_version": drift.proposed.version if drift.proposed else None,
    }
    write_alert(settings.at_home(settings.logs.folder), "jobs.rules_drift", message, **facts)
