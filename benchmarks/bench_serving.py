"""One row of 32 floats over REST: ours against MLflow, MLServer, plain FastAPI, and the floor. ``make bench-serving``.

The same MLP is behind each; answers are compared with NumPy's before anything is timed. The server has one core, the load
generator another. CPU is the time of the server's process tree; ``--only ours,floor`` measures some.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.__main__ import python_of
from benchmarks.serving import mlp
from benchmarks.serving.measure import Result, Subject, free_port, measure

CODE = Path(__file__).parent / "serving"
NAMES = ["floor", "ours", "ours_df", "ours_v2", "fastapi", "mlserver", "mlflow_inputs", "mlflow_df"]
CLIENTS = [1, 8, 64]
OURS, INFER = "/models/mlp/invocations", "/v2/models/mlp/infer"
TARGETS = {"ratio_mlflow_inputs": 15.0, "ratio_mlflow_df": 130.0, "ratio_mlserver": 10.0, "ratio_fastapi": 5.0}


def inputs(rows: list[list[float]]) -> Any:
    return {"inputs": rows}


def split(rows: list[list[float]]) -> Any:
    return {"dataframe_split": {"columns": mlp.COLUMNS, "data": rows}}


def tensor(rows: list[list[float]]) -> Any:
    flat = [value for row in rows for value in row]
    return {"inputs": [{"name": "features", "datatype": "FP32", "shape": [len(rows), 32], "data": flat}]}


def predictions(answer: Any) -> list[float]:
    """Whatever nesting the peer gives: a list, a list of lists, or MLflow's object of one output."""
    found = answer["predictions"]
    found = next(iter(found.values())) if isinstance(found, dict) else found
    first = [next(iter(value.values())) if isinstance(value, dict) else value for value in found]
    return [value[0] if isinstance(value, list) else value for value in first]


def outputs(answer: Any) -> list[float]:
    return list(answer["outputs"][0]["data"])


def subjects(work: Path, only: list[str]) -> list[Subject]:
    """The servers to measure, their models saved; a peer's environment is needed only when it is measured."""
    mlp.write(work)
    model, wanted = str(work / "mlp.onnx"), [name for name in NAMES if not only or name in only]
    ours = [sys.executable, "-m", "serving.server", "--bundles", str(work / "bundles")]
    if any(name.startswith("mlflow") for name in wanted):
        subprocess.run([python_of("mlflow"), CODE / "mlflow_save.py", model, work], check=True, capture_output=True)

    python, weights = sys.executable, str(work / "weights.npz")
    table = {
        "floor": (lambda port: [python, str(CODE / "floor.py"), str(port), weights], "/", inputs, predictions),
        "ours": (lambda port: [*ours, "--port", str(port)], OURS, inputs, predictions),
        "ours_df": (lambda port: [*ours, "--port", str(port)], OURS, split, predictions),
        "ours_v2": (lambda port: [*ours, "--port", str(port)], INFER, tensor, outputs),
        "fastapi": (lambda port: fastapi(model, port), "/invocations", inputs, predictions),
        "mlserver": (lambda port: mlserver(work / "mlserver", model, port), INFER, tensor, outputs),
        "mlflow_inputs": (lambda port: mlflow(work / "plain", port), "/invocations", inputs, predictions),
        "mlflow_df": (lambda port: mlflow(work / "signed", port), "/invocations", split, predictions),
    }
    return [Subject(name, *table[name]) for name in wanted]


def fastapi(model: str, port: int) -> list[str]:
    return [str(python_of("fastapi")), str(CODE / "fastapi_server.py"), str(port), model]


def mlflow(model: Path, port: int) -> list[str]:
    serve = ["models", "serve", "-m", str(model), "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local", "--workers", "1"]
    # its server starts with the `uvicorn` and `python` of PATH
    python = python_of("mlflow")
    return [
        "env",
        f"PATH={python.parent.absolute()}:/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY=true",
        str(python),
        "-m",
        "mlflow",
        *serve,
    ]


def mlserver(folder: Path, model: str, port: int) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "mlserver_runtime.py").write_text((CODE / "mlserver_runtime.py").read_text())
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    described = {"name": "mlp", "implementation": "mlserver_runtime.Mlp", "parameters": {"uri": model}}
    (folder / "model-settings.json").write_text(json.dumps(described))
    return [str(python_of("mlserver").parent / "mlserver"), "start", str(folder)]


def show(results: dict[str, Result]) -> None:
    table = Table(title="one row of 32 floats; one core", title_justify="left")
    heads = [
        "",
        "CPU µs/request (8 clients)",
        "p50/p99 ms, 1 client",
        "8 clients",
        "64 clients",
        "cold start s",
        "PSS MB",
        "CPU / ours",
    ]
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    ours = results.get("ours")
    for name, found in results.items():
        times = [f"{found.loads[n].p50_ms:.2f} / {found.loads[n].p99_ms:.2f}" for n in CLIENTS]
        ratio = f"{found.loads[8].cpu_us / ours.loads[8].cpu_us:.1f}" if ours else ""
        table.add_row(name, f"{found.loads[8].cpu_us:.1f}", *times, f"{found.cold_start_s:.2f}", f"{found.pss_mb:.0f}", ratio)
    Console(width=140).print(table)


def figures(results: dict[str, Result]) -> dict[str, str]:
    """The last line. A ratio is the peer's CPU per request over ours for the same form of request."""
    found: dict[str, str] = {}
    if "ours" not in results:
        return found
    ours = results["ours"]
    found |= {"cpu_us": f"{ours.loads[8].cpu_us:.1f}", "p50_ms": f"{ours.loads[1].p50_ms:.3f}"}
    pairs = {
        "ratio_mlflow_inputs": ("mlflow_inputs", "ours"),
        "ratio_mlflow_df": ("mlflow_df", "ours_df"),
        "ratio_mlserver": ("mlserver", "ours_v2"),
        "ratio_fastapi": ("fastapi", "ours"),
    }
    for key, (peer, mine) in pairs.items():
        if peer in results and mine in results:
            found[key] = f"{results[peer].loads[8].cpu_us / results[mine].loads[8].cpu_us:.1f}"
    if "ours_df" in results:
        found["cpu_us_df"] = f"{results['ours_df'].loads[8].cpu_us:.1f}"
    return found | {"cold_start_s": f"{ours.cold_start_s:.2f}", "pss_mb": f"{ours.pss_mb:.0f}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"some of: {','.join(NAMES)}")
    parser.add_argument("--seconds", type=float, default=4.5, help="load for each number of clients")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name]
    if unknown := set(only) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    matrix = mlp.rows(20)
    checks = [([row.tolist()], mlp.answers(row[None]).tolist()) for row in matrix]
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as work:
        for subject in subjects(Path(work), only):
            began = time.perf_counter()
            results[subject.name] = measure(subject, checks, CLIENTS, options.seconds)
            print(f"{subject.name}: measured in {time.perf_counter() - began:.0f} s", flush=True)
    show(results)
    found = figures(results)
    for key, limit in TARGETS.items():
        if key in found:
            print(f"{key}: {found[key]}, target {limit:g}")
    print("bench-serving", " ".join(f"{key}={value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
