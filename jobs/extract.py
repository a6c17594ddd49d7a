"""The step extract: raw records through the rules, into typed tables and quarantine."""

from __future__ import annotations

from etl.extract import Extracted, extract, is_current
from jobs.context import Context, Report, step_main


def extract_tables(context: Context) -> Report:
    """Turn new raw rows of each table of the rule set into typed rows; what no rule takes goes to quarantine."""
    lines, facts = [], {}
    for rules in context.loaded.rules.tables:
        context.progress(f"{rules.source} → {rules.into}")
        app = context.app("extract", rules.into)
        nothing_new = is_current(context.lake, rules, app=app)
        done = Extracted() if nothing_new else extract(context.spark, context.lake, rules, app=app)
        lines.append(f"{rules.into}: {done.rows_in:,} in = {done.rows:,} out + {done.quarantined:,} quarantined")
        facts[str(rules.into)] = {"in": done.rows_in, "out": done.rows, "quarantined": done.quarantined, "reasons": done.reasons}
    return Report("extract", lines, facts)


if __name__ == "__main__":
    step_main(extract_tables)
