"""Which file goes on with which known content, after files were renamed, copied, cut and deleted.

Files that hold the same bytes are interchangeable: each line is read once whichever of them goes on. What matters is whether
a further file with such a beginning is new or a copy, as there is while a log is rotated by copying it and cutting it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from etl.sources.logs.content import HEAD, Content, Sight, is_derived


@dataclass(slots=True)
class Found:
    """By path, the name of the content that a file goes on with, and the file that it copies. All others are new.

    ``kept`` are contents whose file is not there; ``lost`` those whose file holds something else now, and that no file holds.
    """

    goes_on: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def follow(sights: Sequence[Sight], known: Mapping[str, Content]) -> Found:
    """Find every known content again. Reads no more than a KiB or two of a file, but of one that may be a copy."""
    found, free = Found(), {sight.path: sight for sight in sights}
    packed = {sight.packed: sight for sight in sights if sight.packed is not None}
    for name in _longest_first(known):
        sight = packed.get(known[name].packed or "") or free.get(name)
        if sight is not None and sight.path in free and sight.unchanged(known[name]):
            found.goes_on[sight.path] = name
            del free[sight.path]
    by_path = {sight.path: sight for sight in sights}
    for path in found.goes_on:
        _leave_packed(found, free, by_path[path])
    for name in _longest_first(known):
        if name not in found.goes_on.values():
            owner = _owner(name, known[name], [sight for sight in free.values() if sight.holds(known[name])])
            if owner is not None:
                found.goes_on[owner.path] = name
                del free[owner.path]
                _leave_packed(found, free, owner)
    _find_copies(found, by_path, known)
    _part(found, set(by_path), known)
    return found


def _longest_first(known: Mapping[str, Content]) -> list[str]:
    """The longer a content, the surer it is known again; the beginning that many files share comes last."""
    return sorted(known, key=lambda name: (-known[name].length, name))


def _owner(name: str, content: Content, holders: list[Sight]) -> Sight | None:
    own = next((sight for sight in holders if sight.path == name), None)
    others = [sight for sight in holders if sight is not own]
    others.sort(key=lambda s: (not is_derived(name, s.path), s.modified != content.modified, -s.size, s.path))
    if own is None:
        return others[0] if others else None
    moved = [sight for sight in others if is_derived(name, sight.path) and _is_moved(sight, own, content)]
    return moved[0] if moved else own


def _is_moved(sight: Sight, own: Sight, content: Content) -> bool:
    """Whether it is what ``own`` was, which only begins alike. A copy is never longer, and was written later."""
    if sight.size > own.size:
        return True
    rewritten = own.modified != content.modified and own.size == content.size
    return sight.size == content.size and (rewritten or sight.modified == content.modified != own.modified)


def _leave_packed(found: Found, free: dict[str, Sight], original: Sight) -> None:
    """What was compressed, while what it was made of is still there, is a copy, whatever else begins like it."""
    for sight in [sight for sight in free.values() if sight.packed is not None and sight.size == original.size > 0]:
        if is_derived(original.path, sight.path) and sight.begins(original):
            found.copies[sight.path] = original.path
            del free[sight.path]


def _find_copies(found: Found, sights: Mapping[str, Sight], known: Mapping[str, Content]) -> None:
    for path, sight in sights.items():
        name = found.goes_on.get(path)
        if path in found.copies:
            continue
        if name is None:
            originals = [other for other in sights.values() if _may_copy(sight, other, found) and sight.begins(other)]
            if originals:
                found.copies[path] = originals[0].path
            continue
        original = sights.get(known[name].copy_of or "")
        if original is not None and found.goes_on.get(original.path) == original.path:  # with what was copied
            del found.goes_on[path]  # it is new when it differs: then it was no copy
            if sight.unchanged(known[name]) or sight.begins(original):
                found.copies[path] = original.path


def _may_copy(sight: Sight, other: Sight, found: Found) -> bool:
    """Little that two new files share, such as a banner, makes no copy, unless it was written after all that it copies."""
    sure = other.path in found.goes_on or sight.size >= HEAD or sight.modified >= other.modified
    return sure and sight.size > 0 and other.path not in found.copies and is_derived(other.path, sight.path)


def _part(found: Found, paths: set[str], known: Mapping[str, Content]) -> None:
    names = paths | known.keys()
    covered = {*found.copies.values(), *(known[name].copy_of for name in found.goes_on.values())}
    for name in known.keys() - found.goes_on.values():
        content = known[name]
        if name not in paths:
            found.kept.append(name)
        elif content.copy_of is None and name not in covered and content.length:
            is_new = name not in found.goes_on and name not in found.copies
            if content.offset < content.size or (is_new and not is_rotated(name, names)):
                found.lost.append(name)
    found.kept.sort()
    found.lost.sort()


def is_rotated(name: str, names: Iterable[str]) -> bool:
    """Whether it has the name of a file that was rotated out, which nobody writes to and which is deleted in time."""
    return any(is_derived(other, name) for other in names)
