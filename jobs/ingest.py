"""The step ingest: what is new in each source, into its raw table."""

from __future__ import annotations

from core.contracts import TableName
from etl.ingest import Ingested, ingest
from etl.sources.config import AnySource, open_source
from jobs.context import Context, Report, step_main


def ingest_sources(context: Context) -> Report:
    """Land what is new in each source of the pipeline; sources with nothing new cost no commit."""
    lines, facts = [], {}
    for name, config in context.extraction.sources.items():
        context.progress(f"{context.extraction.raw(name)} ← {config.kind}")
        into, landed = land(context, name, config)
        lines.append(f"{into}: {landed.rows:,} new rows")
        facts[str(into)] = landed.rows
    return Report("ingest", lines, facts)


def land(context: Context, name: str, config: AnySource, *, patience_s: float = 20.0) -> tuple[TableName, Ingested]:
    """Land what is new in one source of the pipeline; its raw table, and what was added. See ``ingest``."""
    into = context.extraction.raw(name)
    source = open_source(config, context.settings)
    app = context.app("ingest", into)
    landed = ingest(lambda: context.spark, context.lake, source, into, app=app, interval=context.interval, patience_s=patience_s)
    return into, landed


if __name__ == "__main__":
    step_main(ingest_sources)
