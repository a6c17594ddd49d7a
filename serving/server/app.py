"""The ASGI application: from a path to a model, from a body to an answer, from an error to a status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.contracts import ModelUid
from core.errors import ConfigError
from serving.server import routes
from serving.server.body import Receive, check_head, read_body
from serving.server.metrics import Meter
from serving.server.model import Model
from serving.server.replies import Headers, Reply, RequestIds, error_reply, head, json_reply
from serving.server.repository import Call, Repository
from serving.server.routes import Facts, Page, only

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

INLINE = 32_768
"""Bodies up to this size are answered on the event loop: handing one to a thread and back would cost as much."""

_POLL_S = 1.0
_BODY_TIMEOUT_S = 60.0
_log = logging.getLogger(__name__)


def build_app(bundles: Path, *, max_body_mb: int = 64, max_rows: int = 100_000, threads: int = 1) -> App:
    """The application over a folder of bundles, its models loaded. Raises ConfigError when the folder has no index."""
    repository = Repository(bundles, threads=threads, max_rows=max_rows)
    repository.refresh()
    return App(repository, max_body=max_body_mb << 20, threads=threads)


class App:
    """Raw ASGI 3, with a shorter way beside it, ``answer_now``, for the request that is nearly all of them."""

    def __init__(self, repository: Repository, *, max_body: int, threads: int) -> None:
        self.repository = repository
        self._max_body = max_body
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._choose_id = RequestIds().choose
        self._meter = Meter("", 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        model: Model | None = None
        try:
            common = self.repository.snapshot.routes.get(scope["raw_path"]) if scope["method"] == "POST" else None
            found = common or await self._route(scope)
            if isinstance(found, Reply):
                reply = found
            else:
                model, work = found
                reply = Reply(200, model.headers, await self._work(work, model, headers, receive))
        except Exception as error:  # noqa: BLE001 — every error has its answer
            reply = _failed(error, model, v2=_is_v2(scope["raw_path"]))
        request_id = (b"x-request-id", self._choose_id(headers.get(b"x-request-id")))
        length = (b"content-length", b"%d" % len(reply.body))
        await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length, request_id]})
        await send({"type": "http.response.body", "body": reply.body})
        meter = self._meter if model is None else model.meter
        meter.count(reply.status, time.perf_counter() - started)

    def answer_now(self, raw_path: bytes, given: Headers, body: bytes) -> bytes | None:
        """The whole HTTP/1.1 response to the common request, or None: then ask by ASGI, which answers the same.

        The common request is a POST that invokes a model by its name, with a small body that has come whole. ASGI's scope,
        messages and task cost as much as the model; here there are none.
        """
        call = self.repository.snapshot.routes.get(raw_path)
        if call is None or len(body) > INLINE:
            return None
        model, work = call
        started = time.perf_counter()
        headers = dict(given)
        status, start = 200, model.head
        try:
            check_head(headers, self._max_body)
            answer = work(model, body)
        except Exception as error:  # noqa: BLE001 — every error has its answer
            status, fixed, answer = _failed(error, model, v2=_is_v2(raw_path))
            start = head(status, fixed)
        request_id = self._choose_id(headers.get(b"x-request-id"))
        model.meter.count(status, time.perf_counter() - started)
        return b"%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b" % (start, len(answer), request_id, answer)

    async def _work(
        self, work: Callable[[Model, bytes], bytes], model: Model, headers: dict[bytes, bytes], receive: Receive
    ) -> bytes:
        """Small bodies here and now, large ones in a thread: ONNX Runtime and NumPy let go of the interpreter's lock."""
        check_head(headers, self._max_body)
        body = await read_body(receive, self._max_body, _BODY_TIMEOUT_S)
        if len(body) <= INLINE:
            return work(model, body)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, model, body)

    async def _route(self, scope: Scope) -> Reply | Call:
        """A page, or the model and work that a path names: everything but the common request."""
        route, uid = routes.match(scope["method"], scope["raw_path"])
        if isinstance(route, Page):
            return route.show(self.repository, self._meter)
        model = await self._model(uid or only(self.repository))
        if isinstance(route, Facts):
            return json_reply(route.describe(model), 200, *model.headers[1:])
        return model, route.do

    async def _model(self, uid: ModelUid) -> Model:
        found = self.repository.find(uid)
        if found is not None:
            return found
        return await asyncio.get_running_loop().run_in_executor(self._loader, self.repository.open, uid)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: the watch over the index begins and ends with the server."""
        if scope["type"] != "lifespan":
            return
        await receive()
        watch = asyncio.create_task(self._follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watch.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _follow(self) -> None:
        """Look at the index once a second; a change is loaded beside the requests."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_POLL_S)
            if not self.repository.changed():
                continue
            try:
                await loop.run_in_executor(self._loader, self.repository.refresh)
            except ConfigError as error:
                _log.warning("the index is not read: %s", error.message)
            except Exception:  # noqa: BLE001 — the watch goes on
                _log.exception("the index is not read: a fault of the server")


def _is_v2(raw_path: bytes) -> bool:
    return raw_path.startswith(b"/v2")


def _failed(error: Exception, model: Model | None, *, v2: bool) -> Reply:
    """The answer to an error, which names the version too when one was found."""
    reply = error_reply(error, v2=v2)
    return reply if model is None else reply._replace(headers=[*reply.headers, *model.headers[1:]])
