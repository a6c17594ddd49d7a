"""The model versions that a server holds: what the index names, verified before it is opened, swapped in one step."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.bundle import open_bundle
from core.contracts import ACTIVE, ModelUid
from core.errors import ConfigError, MaasError, ModelError, ModelNotFound
from serving.server.inference import infer
from serving.server.metrics import Meter
from serving.server.model import Model

INDEX = "index.json"
_ON_DEMAND = 8

Call = tuple[Model, Callable[[Model, bytes], bytes]]
"""A model, and what it does with a body."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index says of one model."""

    aliases: Mapping[str, int]
    versions: Mapping[int, str]
    """Version → sha256 of its manifest."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the server: every request looks at one of these, and at no other."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    active: Mapping[str, Model] = field(default_factory=dict)
    failures: Mapping[str, MaasError] = field(default_factory=dict)
    """Models whose active version cannot be loaded. One that stands in ``active`` too answers with its earlier version."""
    routes: Mapping[bytes, Call] = field(default_factory=dict)
    """The raw paths that ask an active version for predictions."""


class Repository:
    """Versions by UID. ``refresh`` and ``open`` are called from worker threads, the rest from the event loop."""

    def __init__(self, folder: Path, *, threads: int = 1, max_rows: int = 100_000) -> None:
        self._folder = folder
        self._threads, self._max_rows = threads, max_rows
        self._stamp: tuple[int, int, int] | None = None
        self._lock = threading.Lock()
        self._more: OrderedDict[tuple[str, int], Model] = OrderedDict()
        self._meters: dict[tuple[str, int], Meter] = {}
        self.snapshot = Snapshot()

    def changed(self) -> bool:
        """Whether the index is another file than the one last read: one ``stat``."""
        return self._look() != self._stamp

    def refresh(self) -> None:
        """Read the index and load the active version of each model; what is loaded already stays.

        A version that cannot be loaded stops nothing: its model goes on with the version before it, or answers why it cannot.
        Raises ConfigError when the index is missing or is none; the server then goes on with what it has.
        """
        with self._lock:
            stamp = self._look()
            entries = read_index(self._folder / INDEX)
            self._stamp = stamp
            self.snapshot = self._load(entries)

    def find(self, uid: ModelUid) -> Model | None:
        """The loaded version that ``uid`` names; None when it must be opened first. Raises ModelNotFound, ModelError."""
        snapshot = self.snapshot
        entry = snapshot.entries.get(uid.name)
        if entry is None:
            raise ModelNotFound(f"no model {uid.name!r} here: GET /models lists what there is", uid=str(uid))
        if uid.alias == ACTIVE:
            if model := snapshot.active.get(uid.name):
                return model
            if failure := snapshot.failures.get(uid.name):
                raise ModelError(f"model {uid.name!r} cannot answer: {failure.message}", uid=str(uid))
        version = _version(uid, entry)
        active = snapshot.active.get(uid.name)
        if active is not None and _is(active, version, entry):
            return active
        more = self._more.get((uid.name, version))
        return more if more is not None and _is(more, version, entry) else None

    def open(self, uid: ModelUid) -> Model:
        """The version that ``uid`` names, loaded if it is not yet; the least recently opened of more than eight is let go."""
        with self._lock:
            if found := self.find(uid):
                return found
            entry = self.snapshot.entries[uid.name]
            version = _version(uid, entry)
            model = self._open(uid.name, version, entry.versions[version])
            self._more[uid.name, version] = model
            self._more.move_to_end((uid.name, version))
            while len(self._more) > _ON_DEMAND:
                self._more.popitem(last=False)
            return model

    def meters(self) -> Iterator[Meter]:
        """The counters of every version that was loaded since the start."""
        return iter(list(self._meters.values()))

    def loaded(self) -> int:
        """How many versions are in memory."""
        return len(self.snapshot.active) + len(self._more)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = (self._folder / INDEX).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self, entries: Mapping[str, Entry]) -> Snapshot:
        active: dict[str, Model] = {}
        failures: dict[str, MaasError] = {}
        for name, entry in entries.items():
            version = entry.aliases.get(ACTIVE)
            if version is None:
                continue
            before = self.snapshot.active.get(name)
            if before is not None and _is(before, version, entry):
                active[name] = before
                continue
            try:
                active[name] = self._open(name, version, entry.versions[version])
            except MaasError as error:
                failures[name] = error
                _log.error("model %s:%d is not loaded: %s", name, version, error.message)
                if before is not None:
                    active[name] = before
        return Snapshot(entries, active, failures, _routes(active, alone=len(entries) == 1))

    def _open(self, name: str, version: int, sha256: str) -> Model:
        bundle = open_bundle(self._folder / name / str(version), sha256)
        model = Model(name, version, bundle, threads=self._threads, max_rows=self._max_rows)
        model.meter = self._meters.setdefault((name, version), model.meter)
        _log.info("loaded model %s:%d", name, version, extra={"model": name, "version": version})
        return model


def read_index(path: Path) -> dict[str, Entry]:
    """The models that ``index.json`` names; raises ConfigError when it is missing, or not of its form."""
    try:
        document = json.loads(path.read_bytes())
        return {_checked(name): _entry(entry) for name, entry in document["models"].items()}
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file: publish a model first, or name another folder", file=str(path)) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ModelNotFound) as error:
        raise ConfigError(f"{path}: not an index of bundles: {error!r}", file=str(path)) from error


def _entry(document: Any) -> Entry:
    versions = {int(version): str(facts["sha256"]) for version, facts in document["versions"].items()}
    aliases = {str(alias): int(version) for alias, version in document["aliases"].items()}
    if lost := sorted(set(aliases.values()) - versions.keys()):
        raise ValueError(f"an alias names version {lost[0]}, which is not there")
    return Entry(aliases, versions)


def _checked(name: str) -> str:
    """A model's name is part of a path: it has no other characters than those of a UID."""
    if ModelUid.parse(name).name != name:
        raise ValueError(f"{name!r} is not the name of a model")
    return name


def _version(uid: ModelUid, entry: Entry) -> int:
    version = uid.version if uid.version is not None else entry.aliases.get(uid.alias or "")
    if version is None:
        known = ", ".join(sorted(entry.aliases)) or "none"
        raise ModelNotFound(f"model {uid.name!r} has no alias {uid.alias!r}; its aliases: {known}", uid=str(uid))
    if version not in entry.versions:
        raise ModelNotFound(f"model {uid.name!r} has no version {version} here", uid=str(uid))
    return version


def _is(model: Model, version: int, entry: Entry) -> bool:
    return model.version == version and model.bundle.digest == entry.versions.get(version)


def _routes(active: Mapping[str, Model], *, alone: bool) -> dict[bytes, Call]:
    routes: dict[bytes, Call] = {}
    for name, model in active.items():
        routes[f"/models/{name}/invocations".encode()] = (model, Model.answer)
        routes[f"/v2/models/{name}/infer".encode()] = (model, infer)
        if alone:
            routes[b"/invocations"] = (model, Model.answer)
    return routes
