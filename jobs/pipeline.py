"""One pipeline is one YAML file, ``conf/pipelines/NAME.yaml``; this is its form."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from core.config import Strict, read_yaml, validate
from core.contracts import ACTIVE, Layer, ModelUid, TableName
from core.errors import ConfigError
from core.settings import Settings
from etl.rules.config import RuleSet, load_rules
from etl.sources.config import SourceConfig, each_source
from etl.standardize import FeaturesConfig
from jobs.schedule import Schedule
from training.spec import TaskConfig

_FOLDER = Path("conf/pipelines")


class PublishConfig(Strict):
    """The registered model's name, and the alias that moves to a new version."""

    model: str
    alias: str = ACTIVE

    @field_validator("model")
    @classmethod
    def _a_bare_name(cls, name: str) -> str:
        if str(ModelUid.parse(name)) != name or ModelUid.parse(name).version is not None or "@" in name:
            raise ValueError(f"{name!r} is not a bare model name")
        return name


class ScoreConfig(Strict):
    """Which table the step score reads, and where the scores go."""

    table: str
    into: str


class Extraction(Strict):
    """Sources → rules, and when that is done by itself: a pipeline that ends with typed tables."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    sources: dict[str, SourceConfig] = Field(min_length=1)
    rules: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    schedule: Schedule | None = None

    @field_validator("sources")
    @classmethod
    def _one_for_each_table(cls, value: dict[str, SourceConfig]) -> dict[str, SourceConfig]:
        return each_source(value)

    def raw(self, source: str) -> TableName:
        """The raw table that ``source`` lands in."""
        return TableName(Layer.RAW, source)


class Pipeline(Extraction):
    """A whole pipeline: on to features → task → publish → score."""

    features: FeaturesConfig
    task: TaskConfig
    publish: PublishConfig
    score: ScoreConfig


@dataclass(frozen=True, slots=True)
class Shadow:
    """The version of a rule set that is tried beside the one in force."""

    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline with its rule set, and the file it came from."""

    extraction: Extraction
    rules: RuleSet
    file: Path
    active: int | None = None
    """The version that ``rules`` are, of the configuration database; None: the file in conf/rules."""
    is_file: bool = True
    """Whether the file in conf/rules says what ``rules`` say."""
    shadow: Shadow | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The whole pipeline; raises ConfigError for one that ends with typed tables."""
        if not isinstance(self.extraction, Pipeline):
            raise ConfigError(f"{self.file}: has no features, task, publish and score: its last step is extract")
        return self.extraction

    @property
    def ends_typed(self) -> bool:
        """Whether the pipeline ends with typed tables."""
        return not isinstance(self.extraction, Pipeline)


def pipeline_names(settings: Settings) -> list[str]:
    """The pipelines that there are, sorted."""
    return sorted(path.stem for path in settings.at_root(_FOLDER).glob("*.yaml"))


def load_pipeline(settings: Settings, name: str) -> Loaded:
    """Read ``conf/pipelines/NAME.yaml`` with what ``conf/<profile>/pipelines/NAME.yaml`` changes in it, and its rules.

    Raises ConfigError naming file, key, and the nearest valid key or name.
    """
    folder = settings.at_root(_FOLDER)
    file = folder / f"{name}.yaml"
    known = pipeline_names(settings)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise ConfigError(f"no pipeline {name!r} in {folder}: {hint}")
    pipeline = _read(file, settings.at_root(Path("conf") / settings.profile / "pipelines" / file.name))
    if pipeline.name != name:
        raise ConfigError(f"{file}: key 'name' is {pipeline.name!r}, the file's name says {name!r}")
    rules = load_rules(settings.at_root(Path("conf/rules")) / f"{pipeline.rules}.yaml", settings.rules.keys)
    check_sources(pipeline, rules, f"{file}: rules {pipeline.rules!r}")
    return Loaded(pipeline, rules, file)


def check_sources(pipeline: Extraction, rules: RuleSet, where: str) -> None:
    """Raise ConfigError, opening with ``where``, when rules read what no source of the pipeline lands in."""
    unknown = sorted({str(table.source) for table in rules.tables} - {str(pipeline.raw(source)) for source in pipeline.sources})
    if unknown:
        raise ConfigError(f"{where} read {', '.join(unknown)}, which no source of pipeline {pipeline.name!r} lands in")


def _read(file: Path, overlay: Path) -> Extraction:
    document = read_yaml(file)
    pipeline = _parse(document, file)  # name the file at fault before merging
    return _parse(_laid_over(document, read_yaml(overlay)), overlay) if overlay.is_file() else pipeline


def _parse(document: Mapping[str, Any], file: Path) -> Extraction:
    return validate(document, Extraction if document.keys() <= Extraction.model_fields.keys() else Pipeline, str(file))


def _laid_over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with what ``more`` changes in it. What becomes of another kind is replaced whole: its keys mean something else."""
    if more.get("kind", base.get("kind")) != base.get("kind"):
        return dict(more)
    merged = dict(base)
    for key, value in more.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
