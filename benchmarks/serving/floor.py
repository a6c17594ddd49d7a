"""The floor: raw ASGI on uvicorn, orjson, NumPy; no check of anything. ``python floor.py PORT WEIGHTS``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import orjson
import uvicorn

_HEADERS = (b"content-type", b"application/json")
_W = list(np.load(sys.argv[2]).values())


async def app(_scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    matrix = np.array(orjson.loads(message["body"])["inputs"], np.float32)
    hidden = np.maximum(matrix @ _W[0] + _W[1], 0)
    hidden = np.maximum(hidden @ _W[2] + _W[3], 0)
    answer = 1 / (1 + np.exp(-(hidden @ _W[4] + _W[5])))
    body = orjson.dumps({"predictions": answer[:, 0].tolist()})
    headers = [_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    app,
    port=int(sys.argv[1]),
    http="httptools",
    loop="uvloop",
    lifespan="off",
    interface="asgi3",
    access_log=False,
    proxy_headers=False,
    server_header=False,
    date_header=False,
    log_level="error",
)
