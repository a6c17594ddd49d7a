"""``python -m serving.server --bundles FOLDER``: the model server's process."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# one row at a time has no use for a thread pool of the linear algebra library, which is made when NumPy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; the exit code is 0 after a drain, 1 with one line on standard error when it cannot start."""
    options = _parser().parse_args(arguments)
    from core.errors import MaasError  # noqa: PLC0415 — after the environment is set, and not for --help

    try:
        _run(options)
    except MaasError as error:
        print(f"serving.server: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    from serving.server.app import build_app  # noqa: PLC0415
    from serving.server.process import bind, serve  # noqa: PLC0415

    _log_to(options.log)
    bound = bind(options.host, options.port)
    app = build_app(options.bundles, max_body_mb=options.max_body_mb, max_rows=options.max_rows, threads=options.threads)
    host, port = bound.getsockname()[:2]
    serve(app, bound, drain_s=options.drain_s, on_ready=lambda: _say(host, port))


def _log_to(file: Path | None) -> None:
    import logging  # noqa: PLC0415

    from core import logs  # noqa: PLC0415

    if file is not None:
        logs.configure(file.parent, file.name.removesuffix(".jsonl"))
        return
    lines = logging.StreamHandler()
    lines.setFormatter(logs.JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])


def _say(host: str, port: int) -> None:
    """One line on standard output for who started the server: it answers from now on."""
    print(f'{{"event":"listening","host":"{host}","port":{port},"pid":{os.getpid()}}}', flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m serving.server", description="Serve the models in a folder of bundles over REST.")
    parser.add_argument("--bundles", type=Path, required=True, help="folder with index.json")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_whole(0, 65535), default=8080, help="0 takes a free one, which the first line names")
    parser.add_argument("--max-body-mb", type=_whole(1, 2048), default=64)
    parser.add_argument("--max-rows", type=_whole(1, 100_000_000), default=100_000)
    parser.add_argument("--threads", type=_whole(1, 256), default=1, help="threads of ONNX Runtime, and of large requests")
    parser.add_argument("--drain-s", type=float, default=10.0, help="how long requests under way may take after SIGTERM")
    parser.add_argument("--log", type=Path, help="NAME.jsonl: log to NAME-DAY.jsonl there; by default to standard error")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is not within {low} and {high}")
        return number

    return whole


if __name__ == "__main__":
    sys.exit(main())
