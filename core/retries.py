"""Calls that are made again while what is in their way passes by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_S = 60.0
"""How long a call is tried again."""


def persist(action: Callable[[], T], passes: Callable[[Exception], bool], *, wait_s: float = WAIT_S) -> T:
    """The result of ``action``, tried again, with growing pauses, while it raises what ``passes`` and ``wait_s`` last.

    They begin with the first failure: what failed after an hour is tried again too.
    """
    deadline, pause = float("inf"), 0.02
    while True:
        try:
            return action()
        except Exception as error:
            now = time.monotonic()
            deadline = min(deadline, now + wait_s)
            if not passes(error) or now >= deadline:
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — spreads writers, guards nothing
            pause = min(2 * pause, 1.0)
