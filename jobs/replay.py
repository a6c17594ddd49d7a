"""Quarantined records of a pipeline through its rules again."""

from __future__ import annotations

from collections.abc import Collection

from etl.replay import replay
from jobs.context import Context, Report


def replay_tables(context: Context, tables: Collection[str] = ()) -> Report:
    """Replay the quarantine of each table of the rule set, or of those named ``extracted.NAME`` alone."""
    lines, facts = [], {}
    for rules in context.loaded.rules.choose(tables):
        if not context.lake.exists(rules.quarantine):
            lines.append(f"{rules.quarantine}: no such table yet: the step extract makes it")
            continue
        context.progress(f"{rules.quarantine} → {rules.into}")
        done = replay(context.spark, context.lake, rules, app=context.app("extract", rules.into))
        left = sum(done.reasons.values())
        taken = f"{done.records - left:,} ({done.rows:,} rows)" if rules.config.is_many else f"{done.rows:,}"
        lines.append(f"{rules.quarantine}: {done.records:,} in = {taken} into {rules.into} + {left:,} still quarantined")
        if done.finished:
            lines.append(f"    and {done.finished:,} rows of a replay that was broken off before")
        facts[str(rules.into)] = {"in": done.records, "out": done.rows, "quarantined": left, "reasons": done.reasons}
    return Report("replay", lines, facts)
