"""The step score: a table through a registered version, offline."""

from __future__ import annotations

import argparse
from functools import partial

from core.contracts import Interval, Layer, ModelUid, TableName
from core.errors import ConfigError
from core.lake.tables import overwrite, read_table
from core.registry.bundles import BundleCache
from core.settings import Settings, load_settings
from jobs.context import Context, Report, add_options, open_context, read_interval
from jobs.failures import one_line_errors
from jobs.record import record
from serving.batch import score


def score_default(context: Context) -> Report:
    """Score the pipeline's table with the version that its alias means."""
    return _score(context, table=None, into=None, model=None)


def score_table(
    settings: Settings, pipeline: str, *, table: str | None, into: str | None, model: str | None, interval: Interval | None = None
) -> Report:
    """Score ``table`` with ``model`` (a UID) and put the answers into ``into``; None means what the pipeline file says.

    It is an attempt of the step score in the run journal. The whole table is scored, whatever ``interval`` the run is about.
    """
    with open_context(settings, pipeline, interval=interval) as context:
        return record("score", partial(_score, table=table, into=into, model=model), context)


def _score(context: Context, *, table: str | None, into: str | None, model: str | None) -> Report:
    config = context.pipeline.score
    source, target = TableName.parse(table or config.table), TableName.parse(into or config.into)
    if target.layer is not Layer.SCORED:
        raise ConfigError(f"{target}: scores go to the layer scored, for example scored.{source.name}")
    publish = context.pipeline.publish
    version = context.registry.resolve(ModelUid.parse(model) if model else ModelUid(publish.model, publish.alias))
    bundle = BundleCache.open(context.settings).fetch(version)
    context.progress(f"{source} through {version.uid}")
    app = context.app("score", target)
    with context.lake.exclusive(target):
        snapshot = context.lake.snapshot(source)
        facts = {
            "source": str(source),
            "source_version": context.lake.rows_version(source, snapshot.version),
            "model": str(version.uid),
            "bundle": version.bundle_sha256,
        }
        known = context.lake.facts(target, app)
        fresh = known is None or any(known.get(key) != value for key, value in facts.items())
        if fresh:
            records = read_table(context.spark, context.lake, source, snapshot.version)
            keys = context.pipeline.features.key
            scores = score(context.spark, records, bundle, keys=keys, model=version.name, version=version.version)
            overwrite(context.lake, scores, target, app=app, number=context.lake.number(target, app) + 1, facts=facts)
    rows = context.lake.info(target).rows
    state = "scored" if fresh else "scored already"
    line = f"{target}: {rows:,} rows of {source} version {snapshot.version} {state} by {version.uid}"
    return Report("score", [line], {"rows": rows, "model": str(version.uid)})


def main() -> None:
    """``python -m jobs.score`` and ``spark-submit jobs/score.py``; errors of ours become one line."""
    parser = argparse.ArgumentParser(description="Score a table offline with a registered version.")
    parser.add_argument("pipeline", help="name of a file in conf/pipelines")
    parser.add_argument("--table", help="table to score (default: the pipeline's)")
    parser.add_argument("--into", help="table for the scores (default: the pipeline's)")
    parser.add_argument("--model", help="model UID (default: the pipeline's model and alias)")
    add_options(parser)
    options = parser.parse_args()
    with one_line_errors():
        settings, interval = load_settings(profile=options.profile), read_interval(options.start, options.end)
        asked = {"table": options.table, "into": options.into, "model": options.model}
        report = score_table(settings, options.pipeline, **asked, interval=interval)
    for line in report.lines:
        print(line)


if __name__ == "__main__":
    main()
