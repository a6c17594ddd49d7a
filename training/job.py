"""What the ranks of a run are given, and where they leave what they make. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from core.storage.storage import Storage
from training.data.inspection import Split
from training.spec import TrainingSpec

_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Job:
    """A specification, the facts about its data, and the storage that every rank and the caller reach.

    Rank 0 leaves ``events/NUMBER`` and ``checkpoints`` as it goes, at the end ``weights.pt`` and ``result.json``; the last rank
    ``model.onnx`` and ``parity.json``; a rank ended by an error of ours ``errors/RANK``.
    """

    spec: TrainingSpec
    splits: dict[str, Split]
    storage: Storage
    processes: int
    threads: int

    def begin(self) -> None:
        """Write down the job; remove what an earlier attempt left, but for its checkpoints."""
        document = {
            "spec": self.spec.model_dump(mode="json"),
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "processes": self.processes,
            "threads": self.threads,
        }
        self.write_json(_RUN, document)
        for pattern in ("events/*", "errors/*", "result.json", "parity.json"):
            for old in self.storage.list(pattern):
                self.storage.delete(old.path)

    @classmethod
    def read(cls, storage: Storage) -> Self:
        """The job that was begun in ``storage``."""
        with storage.open_read(_RUN) as file:
            document = json.load(file)
        splits = {name: Split.from_json(split) for name, split in document["splits"].items()}
        return cls(TrainingSpec.model_validate(document["spec"]), splits, storage, document["processes"], document["threads"])

    def emit(self, number: int, event: dict[str, Any]) -> None:
        """Leave event ``number`` (0, 1, …) for the caller."""
        self.write_json(f"events/{number:06d}", event)

    def event(self, number: int) -> dict[str, Any] | None:
        """Event ``number``; None when it has not happened yet."""
        place = f"events/{number:06d}"
        event: dict[str, Any] | None = self.read_json(place) if self.storage.exists(place) else None
        return event

    def write_json(self, path: str, document: Any) -> None:
        """Leave a document."""
        self.storage.write_atomic(path, json.dumps(document).encode())

    def read_json(self, path: str) -> Any:
        """A document that a rank left."""
        with self.storage.open_read(path) as file:
            return json.load(file)
