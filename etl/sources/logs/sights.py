"""The log files of a folder as they are found, compressed ones unpacked where that is needed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from core.storage.storage import Entry, Storage
from etl.sources.logs.content import Content, Sight
from etl.sources.packing import TornFile, packing_of, unpack, unpacked_name
from etl.sources.text.cuts import range_mark


@contextmanager
def see_files(files: Storage, entries: Sequence[Entry], known: Mapping[str, Content], folder: str) -> Iterator[list[Sight]]:
    """The files, until the block ends. One that was read whole and then compressed is known by its compressed bytes after that.

    A compressed file that is being written, beside the one that it is made of, is left out. Raises TornFile for another one that
    ends too early.
    """
    packed = {content.packed: content for content in known.values() if content.packed is not None}
    names = {entry.path for entry in entries}
    with ExitStack() as stack:
        sights = []
        for entry in entries:
            if packing_of(entry.path) is None:
                sights.append(Sight(entry.path, entry.size, entry.modified, partial(files.open_read, entry.path)))
                continue
            try:
                sights.append(_unpacked(files, entry, packed, folder, stack))
            except TornFile:
                if unpacked_name(entry.path) not in names:
                    raise
        yield sights


def _unpacked(files: Storage, entry: Entry, packed: Mapping[str, Content], folder: str, stack: ExitStack) -> Sight:
    with files.open_read(entry.path) as file:
        mark = range_mark(file, 0, entry.size)
        content = packed.get(mark)
        if content is not None and content.offset >= content.size:
            return Sight(entry.path, content.size, entry.modified, partial(files.open_read, entry.path), mark)
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "content"
        with unpack(file, entry.path, f"{folder}/{entry.path}") as (found, size), place.open("wb") as kept:
            shutil.copyfileobj(found, kept)
    return Sight(entry.path, size, entry.modified, partial(_open, place), mark)


def _open(place: Path) -> BinaryIO:
    return place.open("rb")
