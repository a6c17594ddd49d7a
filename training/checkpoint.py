"""Where a run stands, in its storage, so that a killed run goes on from its last epoch, on whatever machine.

A checkpoint is one file, ``checkpoints/NUMBER``: a line of JSON with the state and the SHA-256 of what follows, then the tensors
(state dicts, read with ``weights_only``). Storage writes it whole or not at all, so the one before it stays.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import CorruptFile
from core.storage.storage import Storage

_FOLDER = "checkpoints"
_KEEP = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``tensors``: nested dicts and lists of tensors and numbers; ``state``: what JSON can say."""

    number: int
    tensors: dict[str, Any]
    state: dict[str, Any]


def save(storage: Storage, checkpoint: Checkpoint) -> None:
    """Add a checkpoint; the two newest are kept. Raises DiskFull, or StorageError when it cannot be written."""
    buffer = io.BytesIO()
    torch.save(checkpoint.tensors, buffer)
    tensors = buffer.getvalue()
    head = {"sha256": hashlib.sha256(tensors).hexdigest(), "state": checkpoint.state}
    storage.write_atomic(f"{_FOLDER}/{checkpoint.number:06d}", [json.dumps(head).encode(), b"\n", tensors])
    for old in _places(storage)[:-_KEEP]:
        storage.delete(old)


def latest(storage: Storage) -> Checkpoint | None:
    """The newest checkpoint, or None. Raises CorruptFile when its bytes are not those that were written."""
    places = _places(storage)
    if not places:
        return None
    place = places[-1]
    with storage.open_read(place) as file:
        line, _, tensors = file.read().partition(b"\n")
    try:
        head = json.loads(line)
        state, intact = head["state"], hashlib.sha256(tensors).hexdigest() == head["sha256"]
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise CorruptFile(f"{place}: the checkpoint is damaged: delete the file to go on from the one before", file=place)
    number = int(place.rpartition("/")[2])
    return Checkpoint(number, torch.load(io.BytesIO(tensors), weights_only=True), state)


def clear(storage: Storage) -> None:
    """Remove all checkpoints."""
    for place in _places(storage):
        storage.delete(place)


def _places(storage: Storage) -> list[str]:
    return [entry.path for entry in storage.list(f"{_FOLDER}/*")]
