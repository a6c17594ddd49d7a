"""One process and two real Gloo processes, fed the same global batches, do the same."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from training.distributed.launch import run_ranks

PROGRAM = Path(__file__).with_name("two_ranks.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each rank saw, by the number of processes."""
    folder = tmp_path_factory.mktemp("ranks")
    for processes in (1, 2):
        run_ranks(
            [sys.executable, str(PROGRAM), str(folder)],
            processes=processes,
            threads=1,
            folder=folder,
            start_timeout_s=120,
            has_started=lambda: False,
            tick=lambda: None,
        )
    return {size: [json.loads((folder / f"seen-{size}-{rank}.json").read_text()) for rank in range(size)] for size in (1, 2)}


@pytest.mark.parametrize("size", [1, 2])
def test_every_world_sums_broadcasts_and_gathers(seen: dict[int, list[dict[str, Any]]], size: int) -> None:
    for rank in seen[size]:
        assert rank["sum"] == pytest.approx([sum(range(size)), size, 0.1 * size])
        assert rank["broadcast"] == "from 0"
        assert rank["gathered"] == [{"rank": number} for number in range(size)]


@pytest.mark.parametrize("deal", ["even", "uneven", "empty", "fewer"])
def test_two_processes_have_the_loss_curve_of_one_however_rows_are_dealt(
    seen: dict[int, list[dict[str, Any]]], deal: str
) -> None:
    serial, first, second = seen[1][0]["curves"][deal], seen[2][0]["curves"][deal], seen[2][1]["curves"][deal]

    assert first == second
    assert len(serial) == 4
    assert serial[-1][0] < serial[0][0]
    for one, two in zip(serial, first, strict=True):
        assert two == pytest.approx(one, rel=1e-5)
        assert two[3] == one[3] == 960


def test_a_loss_that_is_not_finite_ends_all_ranks_naming_step_and_column(seen: dict[int, list[dict[str, Any]]]) -> None:
    for ranks in seen.values():
        for rank in ranks:
            assert rank["diverged"] == "epoch 1 step 4: the loss is nan: these features hold values that are not finite: c"
