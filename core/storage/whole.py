"""Files of this machine that are there whole and durable, or not at all, whatever ends the process."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(error: OSError) -> bool:
    """Whether no space is left, or none that this user or process may take."""
    return error.errno in _NO_SPACE


def write_whole(place: Path, data: bytes | Iterable[bytes], mode: int = 0o600) -> None:
    """Put ``data`` at ``place``, which is replaced: a temporary file beside it, fsync, rename, fsync of the folder.

    Raises OSError, and then what was there is there still.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=".tmp", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in [data] if isinstance(data, bytes) else data:
                file.write(piece)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(place)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            Path(temporary).unlink()
        raise
    sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names stand in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
