"""When a pipeline runs by itself: the section ``schedule`` of its file, and the settings of what keeps the platform tidy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from core.config import Strict, read_yaml, validate
from core.settings import Settings

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
SPARK_POOL = "spark"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?")


def _seconds(value: Any) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no duration: write 90s, 5m, 2h or 1d")
    return int(found[1]) * _SECONDS[found[2]]


def _cron(text: str) -> str:
    """``text``, a preset or five fields of numbers, ``*``, ranges, steps and lists; crontab(5) without names."""
    if text in PRESETS:
        return text
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{text!r} is no schedule: write one of {', '.join(PRESETS)}, or five fields such as '0 5 * * *'")
    for field, (name, low, high) in zip(fields, _FIELDS, strict=True):
        if not all(_fits(part, low, high) for part in field.split(",")):
            raise ValueError(f"{text!r}: {field!r} is no {name} ({low} to {high})")
    return text


def _fits(part: str, low: int, high: int) -> bool:
    found = _PART.fullmatch(part)
    if found is None:
        return False
    first = low if found[1] is None else int(found[1])
    last = first if found[2] is None else int(found[2])
    return low <= first <= last <= high


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone: write UTC or a name such as Europe/Berlin")
    return name


Duration = Annotated[int, BeforeValidator(_seconds)]
"""Seconds, written ``90s``, ``5m``, ``2h`` or ``1d``."""
Cron = Annotated[str, AfterValidator(_cron)]
Retries = Annotated[int, Field(ge=0, le=100)]
Pool = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Effort(Strict):
    """What a task may cost: how often it is tried again, how long it may take, and whose place it takes meanwhile."""

    retries: Retries = 2
    retry_delay: Duration = 300
    """Doubled with each try."""
    timeout: Duration = 7200
    pool: Pool = SPARK_POOL


class StepEffort(Strict):
    """What one step has otherwise than the rest."""

    retries: Retries | None = None
    retry_delay: Duration | None = None
    timeout: Duration | None = None
    pool: Pool | None = None


class Schedule(Effort):
    """When the pipeline runs, about which time, and with which effort."""

    cron: Cron
    """A run begins when its interval, from one moment of the cron expression to the next, is over."""
    start: date
    """The first interval begins no sooner."""
    end: date | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    catchup: bool = False
    """Whether the intervals since ``start`` that did not run are run; otherwise the newest alone."""
    interval: bool = True
    """Whether steps are given the interval; otherwise each run takes what is new."""
    deadline: Duration | None = None
    """How long a run may take, with waiting and retries, before it is reported."""
    retrain: bool = False
    """Whether training, and what follows it, is a DAG of its own, which runs when the feature table was brought up to date."""
    drift: Cron | None = None
    """When the newest data is held against that of the training."""
    rules_drift: Cron | None = None
    """When the share of new records that no rule takes is held against that of the records before."""
    owner: str = Field(default="maas", pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")
    steps: dict[str, StepEffort] = {}

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Schedule:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} must come after start {self.start}")
        return self

    def effort(self, step: str) -> Effort:
        """What ``step`` may cost."""
        own = self.steps.get(step, StepEffort()).model_dump(exclude_none=True)
        return Effort.model_construct(**{name: own.get(name, getattr(self, name)) for name in Effort.model_fields})


class Upkeep(Effort):
    """A command of maintenance."""

    cron: Cron


class Keep(Upkeep):
    """A command that removes or moves what is older."""

    keep_days: int = Field(ge=0)


class Maintenance(Strict):
    """What keeps tables and logs small; a key that is absent or null is not scheduled."""

    optimize: Upkeep | None = None
    vacuum: Keep | None = None
    archive: Keep | None = None


class Scheduling(Strict):
    """How the scheduler runs the platform's commands: ``conf/base/airflow.yaml``."""

    runner: Literal["maas", "spark-submit"] = "maas"
    """Steps run by ``maas run``, or by spark-submit through Airflow's own operator."""
    pools: dict[Pool, Annotated[int, Field(ge=1)]] = {SPARK_POOL: 1}
    """How many tasks of a pool run at once."""
    maintenance: Maintenance = Maintenance()

    @field_validator("pools")
    @classmethod
    def _has_the_default(cls, pools: dict[str, int]) -> dict[str, int]:
        return {SPARK_POOL: 1, **pools}


def load_scheduling(settings: Settings) -> Scheduling:
    """``conf/base/airflow.yaml`` with what ``conf/<profile>/airflow.yaml`` changes in it. Raises ConfigError."""
    merged: Mapping[str, Any] = {}
    for folder in ("base", settings.profile):
        file = settings.root.absolute() / "conf" / folder / "airflow.yaml"
        if file.is_file():
            document = read_yaml(file)
            validate(document, Scheduling, str(file))  # name the file at fault before merging
            merged = {**merged, **document}
    return validate(merged, Scheduling, "airflow.yaml")
