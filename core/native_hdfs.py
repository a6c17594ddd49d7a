"""The library hdfs-native, kept from writing to standard error: it tells of failed tries, and raises what fails in the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from core.retries import persist

os.environ.setdefault("RUST_LOG", "hdfs_native=off")  # read when the library is imported

import hdfs_native

__all__ = ["STARTING", "hdfs_native", "when_started"]

T = TypeVar("T")

STARTING = ("SafeMode", "safe mode", "StandbyException")
"""What stands in an error of a NameNode that is not ready yet."""
_PATIENCE_S = 30.0


def when_started(call: Callable[[], T]) -> T:
    """What ``call`` gives, made again for half a minute while the NameNode says that it is starting."""
    return persist(call, lambda error: any(mark in str(error) for mark in STARTING), wait_s=_PATIENCE_S)
