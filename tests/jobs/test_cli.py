import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAAS = Path(sys.executable).with_name("maas")


def maas(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAAS, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )


def imported_by(*arguments: str) -> set[str]:
    code = (
        "import json, sys\nsys.argv = ['maas', *json.loads(sys.argv[1])]\nfrom jobs.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("doctor",), ("config", "show"), ("status",)])
def test_light_commands_import_neither_spark_nor_torch(arguments):
    assert not imported_by(*arguments) & {"pyspark", "torch", "mlflow", "pandas", "onnxruntime", "petastorm"}


def test_help_lists_every_command():
    text = maas("--help").stdout
    for command in (
        "run",
        "up",
        "down",
        "status",
        "serve",
        "score",
        "tables",
        "models",
        "config",
        "doctor",
        "drift",
        "logs",
        "quarantine",
        "rules",
    ):
        assert f"\n  {command} " in text


def test_doctor_finds_this_machine_fit(tmp_path):
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        free = {"MAAS__MLFLOW__PORT": str(one.getsockname()[1]), "MAAS__SERVING__PORT": str(two.getsockname()[1])}
    done = maas("doctor", MAAS__HOME=str(tmp_path), **free)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout


def test_doctor_says_that_java_is_missing_and_what_to_do(tmp_path):
    done = maas("doctor", JAVA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "✗ Java: none" in done.stdout
    assert "install OpenJDK 17 or 21" in done.stdout


def test_doctor_names_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = maas("doctor", MAAS__SERVING__PORT=str(port))
    assert done.returncode == 1
    assert f"✗ port of the model server: 127.0.0.1:{port} is in use" in done.stdout


def test_settings_in_force_are_shown():
    assert "  port: 4242\n" in maas("config", "show", MAAS__SERVING__PORT="4242").stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("run", "flihgts"), {}, r"did you mean 'flights'?"),
        (("run", "flights", "--step", "ingset"), {}, "no step 'ingset': did you mean 'ingest'?"),
        (("run", "../flights"), {}, "no pipeline '../flights'"),
        (("tables", "--profile", "moon"), {}, "profile 'moon' has no folder"),
        (("tables", "vacuum", "--keep-days", "0.5"), {}, "is less than a day"),
        (("tables", "optimize", "raw.none"), {}, "there is no table raw.none: run step 'ingest' first"),
        (("tables", "vacuum", "raw"), {}, "table 'raw' is not layer.name"),
        (("tables", "release", "raw.none", "--version", "1"), {}, "version 1 is not held"),
        (("drift", "flights"), {}, "no model 'flights'"),
        (("score", "flights", "--model", "../../etc"), {}, "is not a model UID"),
        (("score", "flights", "--into", "raw.flights"), {}, "scores go to the layer scored"),
        (("config", "show"), {"MAAS__SERVING__PRT": "1"}, "unknown key 'serving.prt'"),
    ],
)
def test_an_error_of_ours_is_one_line_and_exit_status_1(tmp_path, arguments, environment, message):
    done = maas(*arguments, **{"MAAS__HOME": str(tmp_path), **environment})
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("maas: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_empty_platform_says_how_to_begin(tmp_path):
    assert "maas run flights" in maas("tables", MAAS__HOME=str(tmp_path)).stdout
    assert "maas run flights" in maas("models", MAAS__HOME=str(tmp_path)).stdout
    assert "maas up" in maas("status", MAAS__HOME=str(tmp_path)).stdout


def test_a_scheduler_is_told_by_the_exit_status_what_went_wrong():
    statuses = json.dumps({"config": 78})
    assert maas("run", "fligths", MAAS_EXIT_STATUSES=statuses).returncode == 78
    assert maas("run", "fligths").returncode == 1
    assert maas("tables", MAAS_EXIT_STATUSES=statuses, MAAS__LAKE__ROOT="hdfs://127.0.0.1:1/lake").returncode == 1
