"""A pipeline's steps in order, with progress."""

from __future__ import annotations

import difflib
import importlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.contracts import Interval
from core.errors import ConfigError
from core.settings import Settings
from jobs.context import Context, Report, open_context
from jobs.pipeline import Loaded
from jobs.record import record

STEPS = {
    "ingest": "jobs.ingest:ingest_sources",
    "extract": "jobs.extract:extract_tables",
    "standardize": "jobs.standardize:standardize_features",
    "train": "jobs.train:train_model",
    "publish": "jobs.publish:publish_model",
    "score": "jobs.score:score_default",
}
"""Every step, in order, and the function that does it; a step is imported when it runs."""

_LAST_TYPED = "extract"


@dataclass(frozen=True, slots=True)
class Timed:
    """A step's report and the wall seconds it took."""

    report: Report
    seconds: float


def run_pipeline(
    settings: Settings, pipeline: str, steps: Sequence[str] | None, *, interval: Interval | None = None, console: Console
) -> list[Timed]:
    """Run ``steps`` (all when None) of a pipeline in their order. Each is idempotent: what is done already is not done again."""
    chosen = _choose(steps)
    with ExitStack() as stack:
        progress = stack.enter_context(_progress(console))
        task = progress.add_task(pipeline, total=None, note="")
        context = stack.enter_context(open_context(settings, pipeline, lambda note: progress.update(task, note=note), interval))
        return [_timed(name, context, progress, task) for name in chosen or steps_of(context.loaded)]


def steps_of(loaded: Loaded) -> list[str]:
    """The steps that a pipeline has, in order."""
    names = list(STEPS)
    return names[: names.index(_LAST_TYPED) + 1] if loaded.ends_typed else names


def _choose(steps: Sequence[str] | None) -> list[str]:
    """In order; none when none is asked for, which means all."""
    for step in steps or ():
        if step not in STEPS:
            near = difflib.get_close_matches(step, STEPS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"steps are: {', '.join(STEPS)}"
            raise ConfigError(f"no step {step!r}: {hint}")
    return [name for name in STEPS if name in (steps or ())]


def _timed(name: str, context: Context, progress: Progress, task: object) -> Timed:
    progress.update(task, description=name, note="")  # type: ignore[arg-type]
    module, function = STEPS[name].split(":")
    started = time.monotonic()
    report = record(name, getattr(importlib.import_module(module), function), context)
    seconds = time.monotonic() - started
    progress.console.print(f"[green]✓[/green] [bold]{name}[/bold] {seconds:.1f} s")
    for line in report.lines:
        progress.console.print(f"    {line}", highlight=False)
    return Timed(report, seconds)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}[/bold]"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
    )
