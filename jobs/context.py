"""What every step of a pipeline is given, and what it gives back."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.contracts import Interval
from core.errors import ConfigError
from core.lake.catalog import Lake
from core.logs import bind, configure
from core.settings import Settings, load_settings
from jobs.failures import one_line_errors
from jobs.pipeline import Loaded, Pipeline
from jobs.rules import load_in_force

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from core.registry.versions import Registry

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a step did: lines for people, facts for programs."""

    step: str
    lines: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Context:
    """A pipeline with the settings it runs under, and the interval that a scheduled run is about (None: all there is).

    The Spark session and the registry are made when first asked for.
    """

    def __init__(self, settings: Settings, loaded: Loaded, progress: Progress, interval: Interval | None = None) -> None:
        self.settings = settings
        self.interval = interval
        self.loaded = loaded
        self.extraction = loaded.extraction
        self.progress = progress
        self.lake = Lake.of(settings)
        self.run_id = uuid.uuid4().hex[:12]

    def app(self, step: str, table: object = "") -> str:
        """The name under which a step's commits are counted in a table's Delta log."""
        return "/".join(part for part in (self.extraction.name, step, str(table)) if part)

    @property
    def pipeline(self) -> Pipeline:
        """The whole pipeline; raises ConfigError for one that ends with typed tables."""
        return self.loaded.pipeline

    @cached_property
    def spark(self) -> SparkSession:
        """The session of this process."""
        from jobs.session import open_session

        self.progress("starting Spark")
        return open_session(self.settings, f"maas {self.extraction.name}")

    @cached_property
    def registry(self) -> Registry:
        """The model registry."""
        from core.registry.versions import Registry

        return Registry.open(self.settings)

    def close(self) -> None:
        """Stop the session, if one was started."""
        if "spark" in self.__dict__:
            self.spark.stop()


@contextmanager
def open_context(
    settings: Settings, pipeline: str, progress: Progress = lambda _: None, interval: Interval | None = None
) -> Iterator[Context]:
    """A context whose session is stopped at the end, with logs going to the log folder under a new run_id."""
    context = Context(settings, load_in_force(settings, pipeline), progress, interval)
    configure(settings.at_home(settings.logs.folder), "jobs", settings.logs.level)
    with bind(run_id=context.run_id):
        try:
            yield context
        finally:
            context.close()


def read_interval(start: str | None, end: str | None) -> Interval | None:
    """The interval of ``--from`` and ``--to``; None without ``--from``. Raises ConfigError."""
    if start is None:
        if end is not None:
            raise ConfigError("--to needs --from: an interval has a begin")
        return None
    return Interval.parse(start, end)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the command of every step has: the interval that a run is about, and the profile."""
    parser.add_argument("--from", dest="start", help="begin of the interval that the run is about (ISO 8601, UTC)")
    parser.add_argument("--to", dest="end", help="end of the interval (default: a day after its begin)")
    parser.add_argument("--profile", help="folder of conf/ whose settings apply")


def step_main(step: Callable[[Context], Report], arguments: Sequence[str] | None = None) -> None:
    """The entry point of ``python -m jobs.STEP`` and ``spark-submit jobs/STEP.py``; errors of ours become one line."""
    from jobs.record import record  # it needs this module

    parser = argparse.ArgumentParser(description=(step.__doc__ or "").split("\n", 1)[0])
    parser.add_argument("pipeline", help="name of a file in conf/pipelines")
    add_options(parser)
    options = parser.parse_args(arguments)
    with one_line_errors():
        interval = read_interval(options.start, options.end)
        with open_context(load_settings(profile=options.profile), options.pipeline, interval=interval) as context:
            report = record(_name_of(step), step, context)
    for line in report.lines:
        print(line)


def _name_of(step: Callable[[Context], Report]) -> str:
    from jobs.run import STEPS

    return next(name for name, place in STEPS.items() if place.endswith(f":{step.__name__}"))
