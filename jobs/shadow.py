"""A version of rules that is tried beside the one in force: on each new batch, with no row written.

What it would have made is in the facts of the step extract, in the run journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import MaasError
from core.journal.journal import Entry
from etl.preview import shadow
from etl.rules.config import TableRules, parse_rules
from jobs.context import Context
from jobs.pipeline import Shadow

SHADOW = "shadow"
"""The key of the facts."""


@dataclass(slots=True)
class Trial:
    """Sums over the batches that a shadow was tried on, of one table; ``errors`` are of batches on which it failed."""

    batches: int = 0
    records: int = 0
    quarantined: int = 0
    quarantined_now: int = 0
    changed: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


def try_shadow(context: Context, tried: Shadow, rules: TableRules, app: str) -> tuple[str, Mapping[str, Any]]:
    """What the shadow makes of the batches that ``rules`` were last run on, as a line and as facts. Its failure stops nothing."""
    name = context.loaded.rules.name
    known = {"rules": name, "version": tried.version}
    title = f"shadow {name} version {tried.version}, {rules.into}"
    try:
        where = f"rules {name!r} version {tried.version}"
        (other,) = parse_rules(name, tried.text, where, context.settings.rules.keys).choose([str(rules.into)])
        span = context.lake.facts(rules.into, app) or {}
        found = shadow(context.spark, context.lake, other, rules, after=span["from"], upto=span["to"])
    except MaasError as error:
        return f"{title}: failed: {error.message}", {**known, "error": error.message}
    now = found.before.quarantined if found.before else 0
    facts = {
        **known,
        "records": found.after.records,
        "by_rule": found.after.rules,
        "reasons": found.after.reasons,
        "quarantined": found.after.quarantined,
        "quarantined_now": now,
        "changed": found.changed,
    }
    counts = f"{found.after.quarantined:,} instead of {now:,} of {found.after.records:,} quarantined, {found.changed:,} change"
    return f"{title}: {counts}", facts


def collect(entries: Iterable[Entry], name: str, version: int) -> dict[str, Trial]:
    """By table what the journal's entries say of a shadow."""
    trials: dict[str, Trial] = {}
    for entry in entries:
        for table, facts in (entry.facts.get(SHADOW) or {}).items():
            if (facts["rules"], facts["version"]) == (name, version):
                _add(trials.setdefault(table, Trial()), facts)
    return trials


def _add(trial: Trial, facts: Mapping[str, Any]) -> None:
    trial.batches += 1
    if "error" in facts:
        trial.errors.append(facts["error"])
        return
    trial.records += facts["records"]
    trial.quarantined += facts["quarantined"]
    trial.quarantined_now += facts["quarantined_now"]
    trial.changed += facts["changed"]
    trial.rules.update(facts["by_rule"])
