"""The step ingest: what is new in each source, into its raw table."""

from __future__ import annotations

from etl.ingest import ingest
from etl.sources.config import open_source
from jobs.context import Context, Report, step_main


def ingest_sources(context: Context) -> Report:
    """Land what is new in each source of the pipeline; sources with nothing new cost no commit."""
    lines, facts = [], {}
    for name, config in context.extraction.sources.items():
        into = context.extraction.raw(name)
        context.progress(f"{into} ← {config.kind}")
        source = open_source(config, context.settings)
        app = context.app("ingest", into)
        landed = ingest(lambda: context.spark, context.lake, source, into, app=app, interval=context.interval)
        lines.append(f"{into}: {landed.rows:,} new rows")
        facts[str(into)] = landed.rows
    return Report("ingest", lines, facts)


if __name__ == "__main__":
    step_main(ingest_sources)
