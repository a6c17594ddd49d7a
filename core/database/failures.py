"""What a database driver raises: what passes by itself, and one line for what does not. Imports no driver."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from core.errors import DiskFull, MaasError, StorageError
from core.retries import WAIT_S

_CODE = re.compile(r"\((\d{4}), ")
_BUSY = frozenset({1205, 1213, 1020})  # lock wait, deadlock, MariaDB's "record has changed since last read"
_GONE = frozenset({1053, 1152, 1927, 2003, 2006, 2013, 2055})  # shut down, aborted, killed, refused, gone away, lost, lost
_DENIED = frozenset({1044, 1045, 1142, 1698})
_FULL_CODES = frozenset({1021, 1114})
_FULL_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_TEXT = re.compile("database or disk is full|No space left|disk quota exceeded", re.IGNORECASE)


def code_of(error: BaseException) -> int | None:
    """MySQL's number of an error, wherever in the chain of its causes it stands; None for another's."""
    for link in _chain(error):
        first = link.args[0] if link.args else None
        if isinstance(first, int) and not isinstance(link, OSError) and first >= 1000:  # noqa: PLR2004 — MySQL's begin there
            return first
        if match := _CODE.search(str(link)):
            return int(match[1])
    return None


def is_busy(error: BaseException) -> bool:
    """Whether another's transaction was in the way: the call left nothing behind and may be made again."""
    return code_of(error) in _BUSY or any("database is locked" in str(link) for link in _chain(error))


def is_gone(error: BaseException) -> bool:
    """Whether the server ended the connection, or takes none."""
    return code_of(error) in _GONE


def is_full(error: BaseException) -> bool:
    """Whether there is no space left, here or at the server."""
    return code_of(error) in _FULL_CODES or any(
        getattr(link, "errno", None) in _FULL_ERRNO or _FULL_TEXT.search(str(link)) for link in _chain(error)
    )


def first_line(error: BaseException) -> str:
    """The first line of what a library said, at most 500 characters, without the SQL that SQLAlchemy adds below it."""
    text = str(error).strip()
    return text.splitlines()[0][:500] if text else type(error).__name__


def explain(error: BaseException, place: str) -> MaasError:
    """``error`` as one of ours. ``place`` names the database, without a password."""
    code, facts = code_of(error), {"database": place}
    if is_full(error):
        return DiskFull(f"{place}: disk full: free some space and run again", **facts)
    if is_gone(error):
        return StorageError(
            f"{place}: MySQL does not answer (settings database.url, mlflow.database): see `maas doctor`, and run again", **facts
        )
    if code in _DENIED:
        return StorageError(f"{place}: access denied: see the key 'password' beside the URL, and the user's rights", **facts)
    if is_busy(error):
        return StorageError(f"{place}: other processes held it for {WAIT_S:.0f} s: run again", **facts)
    return StorageError(f"{place}: {first_line(error)}", **facts)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = getattr(link, "orig", None) or link.__cause__
