"""A checkpoint is there whole, or the one before it is."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core.errors import CorruptFile, StorageError
from core.storage.local import LocalStorage
from training.checkpoint import Checkpoint, latest, save

WRITER = """
import sys, torch
from pathlib import Path
from core.storage.local import LocalStorage
from training.checkpoint import Checkpoint, save
number = 0
while True:
    number += 1
    tensors = {"weights": {str(i): torch.full((1 << 18,), float(number)) for i in range(8)}}
    save(LocalStorage(Path(sys.argv[1])), Checkpoint(number, tensors, {"number": number}))
    print(number, flush=True)
"""


def checkpoint(number: int) -> Checkpoint:
    tensors = {
        "weights": {"w": torch.full((3,), float(number))},
        "optimizer": {"state": {0: {"step": torch.tensor(2.0)}}, "lr": [0.1]},
    }
    return Checkpoint(number, tensors, {"epochs": [number]})


def test_the_newest_checkpoint_comes_back_as_it_was_and_two_are_kept(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        save(LocalStorage(tmp_path), checkpoint(number))

    newest = latest(LocalStorage(tmp_path))

    assert newest is not None
    assert (newest.number, newest.state) == (10, {"epochs": [10]})
    assert newest.tensors["weights"]["w"].tolist() == [10, 10, 10]
    assert newest.tensors["optimizer"]["lr"] == [0.1]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["000002", "000010"]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert latest(LocalStorage(tmp_path)) is None


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint_no_older_than_the_last_it_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(5)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()
        for _ in range(6):
            os.kill(writer.pid, signal.SIGSTOP)
            left = tmp_path.with_name(f"left-{time.monotonic_ns()}")
            copy(tmp_path, left)
            assert_whole(left)
            os.kill(writer.pid, signal.SIGCONT)
            time.sleep(rng.uniform(0.001, 0.05))
        writer.kill()
        acknowledged = [int(line) for line in writer.stdout.read().split()]

    found = assert_whole(tmp_path)
    assert found >= max(acknowledged, default=1)
    save(LocalStorage(tmp_path), checkpoint(found + 1))
    newest = latest(LocalStorage(tmp_path))
    assert newest is not None
    assert newest.number == found + 1


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def assert_whole(folder: Path) -> int:
    found = latest(LocalStorage(folder))
    assert found is not None
    assert found.state == {"number": found.number}
    assert all((t == found.number).all() for t in found.tensors["weights"].values())
    return found.number


@pytest.mark.parametrize("damage", ["tensors", "state", "short"])
def test_a_damaged_checkpoint_is_refused_and_named_before_its_tensors_are_read(tmp_path: Path, damage: str) -> None:
    save(LocalStorage(tmp_path), checkpoint(4))
    place = tmp_path / "checkpoints" / "000004"
    data = bytearray(place.read_bytes())
    if damage == "tensors":
        data[-len(data) // 2] ^= 1
    elif damage == "state":
        data[: data.index(b"\n")] = b"{}"
    else:
        del data[-10:]
    place.write_bytes(data)

    with pytest.raises(CorruptFile, match="checkpoints/000004: the checkpoint is damaged: delete the file"):
        latest(LocalStorage(tmp_path))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")

    with pytest.raises(StorageError, match=r"checkpoints"):
        save(LocalStorage(tmp_path), checkpoint(1))
