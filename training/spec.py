"""What to train, as data: the ``task`` section of a pipeline, and the whole specification that is handed to the ranks."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import Strict

Width = Annotated[int, Field(ge=1, le=65_536)]


class MlpConfig(Strict):
    """A multi-layer perceptron: linear, activation, dropout for each hidden width, then one linear output."""

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Width, ...] = (128, 64)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"


class TaskConfig(Strict):
    """What is learned, by which model, and how long."""

    kind: Literal["binary_classification"] = "binary_classification"
    model: MlpConfig = MlpConfig()
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(default=0.002, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    positive_weight: float = Field(default=1.0, gt=0)
    """How much the loss of a positive row counts. Other than 1, the answers are no longer calibrated probabilities."""
    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=2048, ge=1, le=1 << 20)
    """Rows a step, over all ranks together."""
    patience: int = Field(default=3, ge=1)
    """Training ends after this many epochs without a lower validation loss; the weights of the best epoch are kept."""
    seed: int = Field(default=7, ge=0, lt=1 << 32)
    shuffle_rows: int = Field(default=1_000_000, ge=1)
    """Rows that a rank holds in memory to shuffle. A shard that fits is read once and permuted anew every epoch."""


class SplitFiles(Strict):
    """The Parquet files of each split: absolute paths, or ``hdfs://`` URLs."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    hdfs: dict[str, str] = {}
    """Hadoop's properties for reading URLs, for machines that have no configuration of Hadoop; no part of what a run is."""


class TrainingSpec(Strict):
    """All that a run depends on. The same specification gives the same digest."""

    files: SplitFiles
    features: tuple[str, ...] = Field(min_length=1)
    """Numeric columns, in the order in which the model takes them."""
    label: str
    """A column of 0 and 1; a row where it is null or NaN is left out."""
    task: TaskConfig = TaskConfig()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        twice = [name for name, times in Counter(self.features).items() if times > 1]
        if twice:
            raise ValueError(f"features stand twice: {', '.join(twice)}")
        if self.label in self.features:
            raise ValueError(f"the label {self.label!r} is among the features")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the specification's JSON, hex."""
        return hashlib.sha256(self.model_dump_json(exclude={"files": {"hdfs"}}).encode()).hexdigest()
