"""The step standardize: extracted tables into the feature table."""

from __future__ import annotations

from core.contracts import TableName
from etl.standardize import find_current, standardize
from jobs.context import Context, Report, step_main


def standardize_features(context: Context) -> Report:
    """Join, split and standardize; nothing is written when neither inputs nor definition changed."""
    config = context.pipeline.features
    context.progress(f"{config.table}: join, split by {config.split.by}, fit on train, apply")
    tables = [TableName.parse(str(table.into)) for table in context.loaded.rules.tables]
    app = context.app("standardize", config.table)
    done = find_current(context.lake, config, tables, app=app)
    if done is None:
        done = standardize(context.spark, context.lake, config, tables, app=app)
    shares = ", ".join(f"{name} {rows:,}" for name, rows in sorted(done.rows.items()))
    state = "written" if done.written else "unchanged"
    lines = [
        f"{config.table} version {done.version} {state}: {shares}",
        f"{len(done.fitted.inputs)} raw columns → {len(done.fitted.outputs)} features, transforms {done.fitted.digest[:12]}",
    ]
    return Report("standardize", lines, {"version": done.version, "rows": done.rows, "transforms": done.fitted.digest})


if __name__ == "__main__":
    step_main(standardize_features)
