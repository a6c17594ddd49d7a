"""Counters that cost a request a fraction of a microsecond, rendered as Prometheus text (exposition format 0.0.4).

``prometheus_client``'s labelled counter and histogram take a lock and a walk over the buckets for each request; these run on
the event loop's thread alone. The tests read the text with ``prometheus_client``'s own parser.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the latency buckets, in seconds."""

_MEMORY = {"VmRSS": "process_resident_memory_bytes", "VmSize": "process_virtual_memory_bytes"}


class Meter:
    """Requests of one model version, by status, and how long they took."""

    __slots__ = ("_buckets", "_seconds", "codes", "labels")

    def __init__(self, name: str, version: int) -> None:
        self.labels = f'model="{name}",version="{version}"'
        self.codes: dict[int, int] = {}
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Take in one answered request."""
        self.codes[status] = self.codes.get(status, 0) + 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def histogram(self) -> Iterator[str]:
        """The lines of the latency histogram."""
        name = "maas_request_duration_seconds"
        totals = list(accumulate(self._buckets))
        for bound, total in zip((*map(str, BOUNDS), "+Inf"), totals, strict=True):
            yield f'{name}_bucket{{{self.labels},le="{bound}"}} {total}'
        yield f"{name}_sum{{{self.labels}}} {self._seconds:.9g}"
        yield f"{name}_count{{{self.labels}}} {totals[-1]}"


def render(meters: Iterable[Meter], loaded: int, failed: int) -> bytes:
    """The text of ``/metrics``. Requests that reached no model stand under the model ``""``, version ``0``."""
    meters = list(meters)
    lines = ["# HELP maas_requests_total Answered requests.", "# TYPE maas_requests_total counter"]
    lines += [f'maas_requests_total{{{m.labels},code="{code}"}} {n}' for m in meters for code, n in sorted(m.codes.items())]
    lines += [
        "# HELP maas_request_duration_seconds From a request's headers to its answer.",
        "# TYPE maas_request_duration_seconds histogram",
    ]
    lines += [line for meter in meters for line in meter.histogram()]
    lines += _gauge("maas_models_loaded", "Model versions in memory.", loaded)
    lines += _gauge("maas_models_failed", "Models that the index names and that cannot be loaded.", failed)
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key in _MEMORY:
            lines += _gauge(_MEMORY[key], f"{key} of this process.", int(value.split()[0]) * 1024)
    return ("\n".join(lines) + "\n").encode()


def _gauge(name: str, text: str, value: int) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}"]
