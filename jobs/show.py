"""What the command line prints: tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from core.database.configurations import Configuration
    from core.journal.journal import Entry
    from core.lake.catalog import TableInfo
    from core.lake.compaction import Compaction
    from core.lake.holds import Hold
    from core.lake.vacuum import Vacuumed
    from core.registry.versions import ModelInfo
    from etl.preview import Preview
    from jobs.doctor import Finding
    from jobs.services import ServiceState
    from monitoring.drift import Drift


def console() -> Console:
    """A console on standard output; wide enough for a log when there is no terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=140, no_color=True)


def show_rows(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table: numbers to the right."""
    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    out.print(table)


def show_tables(out: Console, infos: Sequence[TableInfo]) -> None:
    """The lake."""
    if not infos:
        out.print("no tables yet: run `maas run flights`")
        return
    rows = [(str(i.name), i.version, i.rows, i.files, round(i.bytes / 1e6, 2), f"{i.updated:%Y-%m-%d %H:%M:%S}") for i in infos]
    show_rows(out, "tables", ("table", "version", "rows", "files", "MB", "updated (UTC)"), rows)


def show_compactions(out: Console, done: Sequence[Compaction]) -> None:
    """What compaction did."""
    rows = [
        (
            str(one.after.name),
            one.after.version,
            one.before.files,
            one.after.files,
            round(one.before.bytes / 1e6, 2),
            round(one.after.bytes / 1e6, 2),
            "compacted" if one.changed else "unchanged",
        )
        for one in done
    ]
    show_rows(out, "optimize", ("table", "version", "files before", "files after", "MB before", "MB after", "state"), rows)


def show_vacuumed(out: Console, done: Sequence[Vacuumed], *, dry_run: bool) -> None:
    """What a vacuum took."""
    verb = "would go" if dry_run else "removed"
    rows = [
        (
            str(one.table),
            len(one.files),
            round(one.bytes / 1e6, 2),
            one.kept_from,
            ", ".join(map(str, sorted({h.version for h in one.held}))),
        )
        for one in done
    ]
    show_rows(out, "vacuum", ("table", f"files {verb}", f"MB {verb}", "readable from version", "held versions"), rows)


def show_preview(out: Console, found: Preview) -> None:
    """What rules make of records and, where they were compared, what they would change."""
    before, after = found.before, found.after
    parts = (
        ("rule", before.rules if before else {}, after.rules),
        ("quarantine", before.reasons if before else {}, after.reasons),
    )

    def share(count: int) -> str:
        return f"{count:,} ({count / max(1, after.records):.1%})"

    rows = [
        (kind, escape(name), share(was.get(name, 0)), share(now.get(name, 0)))
        for kind, was, now in parts
        for name in dict.fromkeys([*was, *now])
    ]
    title = f"{found.table}: the newest {after.records:,} records"
    if before is None:
        show_rows(out, title, ("", "name", "records"), [(kind, name, now) for kind, name, _, now in rows])
        return
    show_rows(out, title, ("", "name", "now", "with these rules"), rows)
    out.print(f"{found.changed:,} of {after.records:,} records change")
    for change in found.examples:
        out.print(f"  {change.source} at {change.offset}", markup=False)
        out.print(f"    - {change.before}\n    + {change.after}", markup=False)


def show_holds(out: Console, found: Sequence[Hold]) -> None:
    """The versions that are held."""
    columns = ("table", "version", "by", "since (UTC)", "reason")
    rows = [(str(h.table), h.version, h.by, f"{h.since:%Y-%m-%d %H:%M:%S}" if h.since else "", escape(h.reason)) for h in found]
    show_rows(out, "holds", columns, rows)


def show_drift(out: Console, model: str, drift: Drift, threshold: float) -> None:
    """The columns by falling index."""
    drifted = set(drift.drifted(threshold))
    rows = [
        (
            column.name,
            f"{column.psi:.4f}",
            f"{column.missing_reference:.2%}",
            f"{column.missing_current:.2%}",
            "drifted" if column.name in drifted else "",
        )
        for column in drift.columns
    ]
    title = f"drift: {drift.current_rows:,} newest rows against {drift.reference_rows:,} that {model} was trained on"
    show_rows(out, title, ("column", "PSI", "missing then", "missing now", f"PSI ≥ {threshold:g}"), rows)


def show_models(out: Console, infos: Sequence[ModelInfo]) -> None:
    """The registry."""
    if not infos:
        out.print("no models yet: run `maas run flights`")
        return
    rows = [
        (
            info.name,
            version.version,
            ", ".join(sorted(a for a, v in info.aliases.items() if v == version.version)),
            version.run_id,
        )
        for info in infos
        for version in info.versions
    ]
    show_rows(out, "models", ("model", "version", "aliases", "run"), rows)


def show_services(out: Console, states: Sequence[ServiceState]) -> None:
    """The services that `maas up` runs."""
    if states:
        columns = ("service", "state", "pid", "restarts", "address", "log", "detail")
        show_rows(out, "services", columns, [(s.name, s.state, str(s.pid), s.restarts, s.url, s.log, s.detail) for s in states])
    if all(state.state == "down" for state in states):
        out.print("nothing runs: start it with `maas up`")


def show_cluster(
    out: Console, states: Sequence[ServiceState], memory_mb: Mapping[str, float], command: str = "maas cluster up"
) -> None:
    """The services that ``command`` starts, with the memory that they hold."""
    if states:
        columns = ("service", "state", "pid", "restarts", "MB", "address", "detail")
        rows = [(s.name, s.state, str(s.pid), s.restarts, round(memory_mb.get(s.name, 0)), s.url, s.detail) for s in states]
        show_rows(out, f"services: {sum(memory_mb.values()):,.0f} MB", columns, rows)
    if all(state.state == "down" for state in states):
        out.print(f"nothing runs: start it with `{command}`")


def show_runs(out: Console, found: Sequence[tuple[Entry, str]]) -> None:
    """The run journal: entries with their states."""
    if not found:
        out.print("nothing ran yet: run `maas run flights`")
        return
    columns = ("started (UTC)", "pipeline", "step", "interval", "attempt", "state", "seconds", "run", "error")
    rows = [
        (
            f"{entry.started:%Y-%m-%d %H:%M:%S}",
            entry.pipeline,
            entry.step,
            str(entry.interval or ""),
            entry.attempt,
            state,
            "" if entry.seconds is None else f"{entry.seconds:.1f}",
            entry.run_id,
            escape((entry.error or "").split("\n", 1)[0][:200]),
        )
        for entry, state in found
    ]
    show_rows(out, "runs", columns, rows)


def show_dags(out: Console, dags: Sequence[Mapping[str, Any]]) -> None:
    """The DAGs of a plan, with what starts them and the tasks they have."""
    rows = [
        (dag["id"], dag["cron"] or " ".join(asset["name"] for asset in dag["after"]), " → ".join(t["id"] for t in dag["tasks"]))
        for dag in dags
    ]
    show_rows(out, "DAGs", ("DAG", "runs at, or after", "tasks"), rows)


def show_versions(out: Console, found: Sequence[Configuration]) -> None:
    """The versions of one configuration."""
    rows = [(kept.version, kept.digest[:12], kept.author, f"{kept.created_at:%Y-%m-%d %H:%M:%S}") for kept in found]
    show_rows(out, f"{found[0].kind} {found[0].name}", ("version", "sha256", "author", "first seen (UTC)"), rows)


def show_findings(out: Console, findings: Sequence[Finding]) -> None:
    """What `maas doctor` found."""
    for finding in findings:
        mark = "[green]✓[/green]" if finding.good else "[red]✗[/red]"
        out.print(f"{mark} {finding.name}: {finding.found}", highlight=False)
        if not finding.good:
            out.print(f"    {finding.remedy}", highlight=False)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
