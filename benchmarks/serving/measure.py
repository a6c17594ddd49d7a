"""One server under test: started, asked, loaded, ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
_START_S = 90


@dataclass(frozen=True, slots=True)
class Subject:
    """A server and how to ask it. ``command`` takes the port; ``ask`` makes a request of rows; ``read`` finds the answers."""

    name: str
    command: Callable[[int], list[str]]
    path: str
    ask: Callable[[list[list[float]]], Any]
    read: Callable[[Any], list[float]]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What the load generator sends, and where."""

    port: int
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of clients saw."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured of one subject."""

    cold_start_s: float
    pss_mb: float
    loads: dict[int, Load]


def measure(subject: Subject, checks: list[tuple[list[list[float]], list[float]]], clients: list[int], seconds: float) -> Result:
    """Start it, compare its answers within 1e-5, load it; the CPU time is that of the whole process tree."""
    with started(subject, checks[0][0]) as (process, port, cold_start):
        for rows, expected in checks:
            found = request(port, subject, rows)
            apart = max(abs(a - b) for a, b in zip(found, expected, strict=True))
            assert apart <= 1e-5, f"{subject.name}: answers differ by {apart}"
        target = Target(port, subject.path, json.dumps(subject.ask(checks[0][0])).encode())
        load(process, target, 8, seconds / 2)  # warm
        loads = {count: best(process, target, count, seconds) for count in clients}
        return Result(cold_start, sum(p.memory_full_info().pss for p in tree(process)) / 1e6, loads)


def best(process: psutil.Process, target: Target, clients: int, seconds: float) -> Load:
    """The run of three that cost the least CPU: what another process of this machine took is in the others."""
    return min((load(process, target, clients, seconds / 3) for _ in range(3)), key=lambda found: found.cpu_us)


def load(process: psutil.Process, target: Target, clients: int, seconds: float) -> Load:
    with tempfile.NamedTemporaryFile() as file:
        file.write(target.body)
        file.flush()
        command = [
            sys.executable,
            "-m",
            "benchmarks.serving.client",
            str(target.port),
            target.path,
            file.name,
            str(clients),
            str(seconds),
        ]
        before = cpu(process)
        done = subprocess.run([*pinned(1), *command], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)
        spent = cpu(process) - before
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    count = found["requests"]
    return Load(spent / count * 1e6, found["p50_us"] / 1e3, found["p99_us"] / 1e3, count / found["seconds"])


@contextlib.contextmanager
def started(subject: Subject, rows: list[list[float]]) -> Iterator[tuple[psutil.Process, int, float]]:
    """The process, its port, and the seconds from its start to its first answer."""
    port = free_port()
    clean = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter()
        command = [*pinned(0), *subject.command(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=subject.folder or ROOT, env=clean, start_new_session=True)
        try:
            while True:
                try:
                    request(port, subject, rows)
                    break
                except (OSError, http.client.HTTPException, RuntimeError) as error:
                    if process.poll() is not None or time.perf_counter() - begin > _START_S:
                        log.seek(0)
                        text = log.read()[-2000:].decode(errors="replace")
                        raise SystemExit(f"{subject.name} did not start: {error}\n{text}") from error
                    time.sleep(0.01)
            yield psutil.Process(process.pid), port, time.perf_counter() - begin
        finally:
            end(process)


def request(port: int, subject: Subject, rows: list[list[float]]) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", subject.path, json.dumps(subject.ask(rows)), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:300]!r}")
        return subject.read(json.loads(text))
    finally:
        connection.close()


def tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu(process: psutil.Process) -> float:
    return sum(p.cpu_times().user + p.cpu_times().system for p in tree(process))


def end(process: subprocess.Popen[bytes]) -> None:
    family = tree(psutil.Process(process.pid)) if process.poll() is None else []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def pinned(core: int) -> list[str]:
    """The server has one core, the load another, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[core])] if len(cores) > 1 else []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
