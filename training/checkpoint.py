"""Where a run stands, on disk, so that a killed run goes on from its last epoch.

A checkpoint is a folder ``NUMBER``: ``tensors.pt`` (state dicts, read with ``weights_only``) and ``state.json`` with its SHA-256.
It is written beside its place, fsynced and renamed, so a process killed at any moment leaves the one before it whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import CorruptFile, DiskFull, StorageError

_KEEP = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``tensors``: nested dicts and lists of tensors and numbers; ``state``: what JSON can say."""

    number: int
    tensors: dict[str, Any]
    state: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Add a checkpoint; the two newest are kept. Raises DiskFull, or StorageError when the folder cannot be written."""
    place = folder / f"{checkpoint.number:06d}"
    temporary = folder / f".{place.name}.writing"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary, checkpoint)
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
        _sync(folder)
    except (OSError, RuntimeError) as error:  # torch.save turns a failed write into RuntimeError
        raise _explain(error, folder) from error
    for old in _places(folder)[:-_KEEP]:
        shutil.rmtree(old)


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint, or None. Raises CorruptFile when its bytes are not those that were written."""
    places = _places(folder)
    if not places:
        return None
    place = places[-1]
    try:
        document = json.loads((place / "state.json").read_text(encoding="utf-8"))
        digest, state = document["sha256"], document["state"]
        intact = _sha256(place / "tensors.pt") == digest
    except (OSError, ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise CorruptFile(f"{place}: the checkpoint is damaged: delete the folder to go on from the one before", file=str(place))
    tensors = torch.load(place / "tensors.pt", weights_only=True)
    return Checkpoint(int(place.name), tensors, state)


def _places(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*") if p.is_dir())


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    torch.save(checkpoint.tensors, folder / "tensors.pt")
    state = {"sha256": _sha256(folder / "tensors.pt"), "state": checkpoint.state}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for path in (folder / "tensors.pt", folder / "state.json", folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _explain(error: Exception, folder: Path) -> StorageError:
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    if getattr(error, "errno", None) == errno.ENOSPC or free < 1 << 20:
        return DiskFull(
            f"disk full: a checkpoint under {folder} does not fit ({free >> 20} MiB free): free some space, run again"
        )
    return StorageError(f"{folder}: a checkpoint cannot be written: {error}")
