"""A load generator in its own process: raw sockets and epoll, one request at a time on each connection.

``python -m benchmarks.serving.client PORT PATH BODY_FILE CONNECTIONS SECONDS`` sends for that long, checks every status, and
prints ``{"requests", "seconds", "p50_us", "p99_us"}``. It costs about 10 µs a request, on another core than the server.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from pathlib import Path


def main() -> None:
    port, path, body_file, connections, seconds = sys.argv[1:]
    body = Path(body_file).read_bytes()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    latencies, wall = load(int(port), head.encode() + body, int(connections), float(seconds))
    latencies.sort()
    at = lambda share: latencies[min(int(len(latencies) * share), len(latencies) - 1)] * 1e6  # noqa: E731
    print(json.dumps({"requests": len(latencies), "seconds": wall, "p50_us": at(0.5), "p99_us": at(0.99)}))


def load(port: int, request: bytes, connections: int, seconds: float) -> tuple[list[float], float]:
    """The latency of each answer, and the time that all took, both in seconds."""
    epoll = select.epoll()
    sockets, started, pending = {}, {}, {}
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[connection.fileno()], pending[connection.fileno()] = connection, b""
        epoll.register(connection, select.EPOLLIN)
    clock = time.perf_counter
    begin = clock()
    end = begin + seconds
    for number, connection in sockets.items():
        started[number] = clock()
        connection.sendall(request)
    latencies: list[float] = []
    under_way = connections
    while under_way:
        for number, _ in epoll.poll():
            connection = sockets[number]
            data = pending[number] + connection.recv(65536)
            if not whole(data):
                pending[number] = data
                continue
            pending[number] = b""
            now = clock()
            latencies.append(now - started[number])
            if now < end:
                started[number] = now
                connection.sendall(request)
            else:
                under_way -= 1
    wall = clock() - begin
    for connection in sockets.values():
        connection.close()
    return latencies, wall


def whole(data: bytes) -> bool:
    """Whether a complete answer with status 200 has come; any other status ends the run."""
    at = data.find(b"\r\n\r\n")
    if at < 0:
        if not data:
            raise SystemExit("the server closed a connection")
        return False
    if not data.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not 200: {data[:300]!r}")
    head = data[:at].lower()
    mark = head.find(b"content-length:")
    if mark < 0:
        return data.endswith(b"0\r\n\r\n")
    stop = head.find(b"\r\n", mark)
    return len(data) - at - 4 >= int(head[mark + 15 : stop if stop >= 0 else None])


if __name__ == "__main__":
    main()
