"""What the commands about rules and quarantine print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from jobs.show import show_rows

if TYPE_CHECKING:
    from core.contracts import TableName
    from core.database.configurations import Configuration
    from core.database.lifecycle import Standing
    from etl.explain import Explanation, Verdict
    from etl.quarantine import Held
    from jobs.shadow import Trial

_LONGEST = 200


def show_held(out: Console, table: TableName, found: Sequence[Held]) -> None:
    """Records in quarantine."""
    rows = [
        (
            held.batch,
            escape(_plain(held.source)),
            held.offset,
            held.rule or "",
            held.reason,
            escape(_plain(held.message)),
            escape(_text(held.raw)),
        )
        for held in found
    ]
    show_rows(out, str(table), ("batch", "source", "offset", "rule", "reason", "message", "record"), rows)


def show_counts(out: Console, found: Mapping[TableName, Mapping[tuple[str | None, str, int], int]]) -> None:
    """How many records lie in quarantine, by what."""
    rows = [
        (str(table), rule or "", reason, str(batch), count)
        for table, counted in found.items()
        for (rule, reason, batch), count in counted.items()
    ]
    show_rows(out, f"quarantine: {sum(row[-1] for row in rows):,} records", ("table", "rule", "reason", "batch", "records"), rows)


def _text(raw: bytes | None) -> str:
    """One line of printable characters; bytes that are no UTF-8 are shown as U+FFFD."""
    text = (raw or b"").decode(errors="replace")
    return _plain(text[:_LONGEST]) if len(text) <= _LONGEST else f"{_plain(text[:_LONGEST])}…"


def _plain(text: str) -> str:
    """The text without what could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def show_history(out: Console, versions: Sequence[Configuration], standing: Standing) -> None:
    """The versions of a rule set, newest first, and every move, newest last."""
    rows = [
        (kept.version, standing.states.get(kept.version, "ran as a file"), kept.digest[:12], kept.author, _time(kept.created_at))
        for kept in versions
    ]
    show_rows(out, f"rules {standing.name}", ("version", "state", "sha256", "author", "first seen (UTC)"), rows)
    if standing.entries:
        moves = [(_time(entry.at), entry.author, entry.action, entry.version, entry.state) for entry in standing.entries]
        show_rows(out, "history", ("when (UTC)", "who", "by", "version", "became"), moves)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def show_trials(out: Console, title: str, trials: Mapping[str, Trial]) -> None:
    """What a version in shadow would have made of the batches it was tried on."""
    if not trials:
        out.print(f"{title}: no batch was extracted since it is in shadow")
        return

    def share(count: int, trial: Trial) -> str:
        return f"{count:,} ({count / max(1, trial.records):.1%})"

    rows = [
        (table, one.batches, one.records, share(one.quarantined_now, one), share(one.quarantined, one), share(one.changed, one))
        for table, one in trials.items()
    ]
    show_rows(out, title, ("table", "runs", "records", "quarantined now", "quarantined by it", "change"), rows)
    taken = [(table, rule, share(count, one)) for table, one in trials.items() for rule, count in one.rules.most_common()]
    show_rows(out, "rows by rule", ("table", "rule", "records"), taken)
    for table, one in trials.items():
        for message in dict.fromkeys(one.errors):
            out.print(f"{table}: failed: {message}", markup=False)


def show_explanation(out: Console, table: TableName, found: Explanation) -> None:
    """What becomes of one record, and what each rule makes of it alone."""
    whole = found.whole
    out.print(f"{table}, batch {found.batch}: {_text(found.record)}", markup=False)
    out.print(f"  taken by {whole.rule or 'no rule'}", markup=False)
    out.print(f"  row {whole.row}" if whole.problem is None else f"  quarantined: {whole.problem}", markup=False)
    rows = [(one.name, "takes it" if one.rule else "no", escape(_why(one))) for one in found.rules]
    show_rows(out, "each rule alone, without checks", ("rule", "", "why"), rows)


def _why(verdict: Verdict) -> str:
    if verdict.unmet:
        return "its condition 'when' does not hold"
    return verdict.problem or verdict.row or ""
