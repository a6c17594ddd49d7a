"""The step extract: raw records through the rules, into typed tables and quarantine."""

from __future__ import annotations

from typing import Any

from etl.extract import Extracted, extract, is_current
from etl.replay import finish, is_pending
from jobs.context import Context, Report, step_main
from jobs.pipeline import Loaded
from jobs.shadow import SHADOW, try_shadow


def extract_tables(context: Context) -> Report:
    """Turn new raw rows of each table of the rule set into typed rows; what no rule takes goes to quarantine."""
    lines, facts = _in_force(context.loaded), dict[str, Any]()
    for rules in context.loaded.rules.tables:
        context.progress(f"{rules.source} → {rules.into}")
        app = context.app("extract", rules.into)
        if is_pending(context.lake, rules, app=app):
            finish(context.spark, context.lake, rules, app=app)
        nothing_new = is_current(context.lake, rules, app=app)
        done = Extracted() if nothing_new else extract(context.spark, context.lake, rules, app=app)
        taken = f"{done.rows:,}" if not rules.config.is_many else f"{done.rows_in - done.quarantined:,} ({done.rows:,} rows)"
        lines.append(f"{rules.into}: {done.rows_in:,} in = {taken} out + {done.quarantined:,} quarantined")
        lines += [f"{rules.into}: warning: {text}" for text in done.warnings]
        facts[str(rules.into)] = {"in": done.rows_in, "out": done.rows, "quarantined": done.quarantined, "reasons": done.reasons}
        if done.warnings:
            facts[str(rules.into)]["warnings"] = list(done.warnings)
        if done.rows_in and context.loaded.shadow is not None:
            line, tried = try_shadow(context, context.loaded.shadow, rules, app)
            lines.append(line)
            facts.setdefault(SHADOW, {})[str(rules.into)] = tried
    return Report("extract", lines, facts)


def _in_force(loaded: Loaded) -> list[str]:
    """Which version runs, where one was activated; and whether the file says otherwise."""
    name = loaded.rules.name
    if loaded.active is None:
        return []
    other = "" if loaded.is_file else f"; conf/rules/{name}.yaml differs: `maas rules push` makes a version of it"
    return [f"rules {name} version {loaded.active} is active{other}"]


if __name__ == "__main__":
    step_main(extract_tables)
