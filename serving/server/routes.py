"""Which path means what, and the pages that are about the server itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from core.contracts import ACTIVE, ModelUid
from core.errors import ModelNotFound
from serving.server import inference, metrics
from serving.server.metrics import Meter
from serving.server.model import Model
from serving.server.replies import Reply, json_reply, refuse
from serving.server.repository import Repository


@dataclass(frozen=True, slots=True)
class Page:
    """About the server."""

    show: Callable[[Repository, Meter], Reply]
    methods: ClassVar = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Facts:
    """About one model."""

    describe: Callable[[Model], dict[str, Any]]
    methods: ClassVar = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Work:
    """What a model does with a body."""

    do: Callable[[Model, bytes], bytes]
    methods: ClassVar = ("POST",)


Route = Page | Facts | Work


def match(method: str, raw_path: bytes) -> tuple[Route, ModelUid | None]:
    """The route of a path, percent-decoded once, segment by segment, and the model that it names, if it names one.

    Raises Refused (400, 404, 405) and ModelNotFound.
    """
    parts = _segments(raw_path)
    pattern, uid = _pattern(parts)
    route = _ROUTES.get(pattern)
    if route is None:
        raise refuse(404, f"no such path: {'/' + '/'.join(parts)[:100]!r}; GET /models lists the models")
    if method not in route.methods:
        allowed = ", ".join(route.methods)
        raise refuse(405, f"this path takes {allowed}", (b"allow", allowed.encode()))
    return route, uid


def only(repository: Repository) -> ModelUid:
    """The model that is meant where none is named; raises Refused (404) unless there is exactly one."""
    names = list(repository.snapshot.entries)
    if len(names) != 1:
        raise refuse(404, f"{len(names)} models are here, so say which: POST /models/NAME/invocations")
    return ModelUid(names[0])


def _segments(raw_path: bytes) -> list[str]:
    try:
        return [unquote_to_bytes(part).decode() for part in raw_path.split(b"/")[1:]]
    except UnicodeDecodeError:
        raise refuse(400, "the path is not percent-encoded UTF-8") from None


def _pattern(parts: list[str]) -> tuple[tuple[str, ...], ModelUid | None]:
    """The key of a path in the table, and the model that the path names."""
    if parts[0] == "models" and len(parts) > 1:
        return ("models", "*", *parts[2:]), ModelUid.parse(parts[1])
    if parts[:2] == ["v2", "models"] and len(parts) > 2:  # noqa: PLR2004
        uid = ModelUid.parse(parts[2])
        if parts[3:4] != ["versions"] or len(parts) == 4:  # noqa: PLR2004
            return ("v2", "models", "*", *parts[3:]), uid
        if uid.alias != ACTIVE:
            raise ModelNotFound(f"{parts[2][:80]!r} with a version: name the model alone")
        return ("v2", "models", "*", *parts[5:]), ModelUid.parse(f"{uid.name}:{parts[4]}")
    return tuple(parts), None


def _ping(repository: Repository, _: Meter) -> Reply:
    state = repository.snapshot
    ready = bool(state.active) or not state.failures
    return json_reply({"ready": ready}, 200 if ready else 503)


def _health(repository: Repository, _: Meter) -> Reply:
    """200 while a model answers; what holds the others back stands in the body."""
    state = repository.snapshot
    models = {
        name: {
            "status": "failed" if name in state.failures else "ok",
            "version": state.active[name].version if name in state.active else None,
            **({"reason": state.failures[name].message} if name in state.failures else {}),
        }
        for name in sorted({*state.active, *state.failures})
    }
    status = "ok" if not state.failures else "degraded" if state.active else "failed"
    return json_reply({"status": status, "models": models}, 503 if status == "failed" else 200)


def _live(_repository: Repository, _: Meter) -> Reply:
    return json_reply({"live": True})


def _version(_repository: Repository, _: Meter) -> Reply:
    return json_reply({"version": _installed("maas"), "onnxruntime": _installed("onnxruntime")})


@cache
def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _metrics(repository: Repository, other: Meter) -> Reply:
    text = metrics.render([other, *repository.meters()], repository.loaded(), len(repository.snapshot.failures))
    return Reply(200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text)


def _models(repository: Repository, _: Meter) -> Reply:
    state = repository.snapshot
    listed = [
        {
            "name": name,
            "active": state.active[name].version if name in state.active else None,
            "aliases": dict(entry.aliases),
            "versions": sorted(entry.versions),
        }
        for name, entry in sorted(state.entries.items())
    ]
    return json_reply({"models": listed})


def _server(_repository: Repository, _: Meter) -> Reply:
    return json_reply({"name": "maas", "version": _installed("maas"), "extensions": []})


def _ready(model: Model) -> dict[str, Any]:
    return {"name": model.name, "version": str(model.version), "ready": True}


_ROUTES: dict[tuple[str, ...], Route] = {
    ("ping",): Page(_ping),
    ("health",): Page(_health),
    ("version",): Page(_version),
    ("metrics",): Page(_metrics),
    ("models",): Page(_models),
    ("models", "*"): Facts(lambda model: model.metadata),
    ("models", "*", "invocations"): Work(Model.answer),
    ("invocations",): Work(Model.answer),
    ("v2",): Page(_server),
    ("v2", "health", "live"): Page(_live),
    ("v2", "health", "ready"): Page(_ping),
    ("v2", "models", "*"): Facts(inference.describe),
    ("v2", "models", "*", "ready"): Facts(_ready),
    ("v2", "models", "*", "infer"): Work(inference.infer),
}
