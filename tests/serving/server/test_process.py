"""The server as a process: how it starts, follows the index, and ends."""

import json
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import NUMBERS, RECORD, running

HEAVY = ("mlflow", "pandas", "torch", "pyspark", "pydantic", "pyarrow", "onnx", "fastapi", "starlette", "prometheus_client")


def until(claim, seconds=15):
    """Wait until ``claim()`` holds."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def one(bundles):
    return bundles.add("m", 1, inputs=NUMBERS, active=1).add("m", 2, inputs=NUMBERS)


def test_a_server_process_imports_no_heavy_library(one, tmp_path):
    with running(one.folder, tmp_path / "log", python=("-X", "importtime")) as server:
        httpx.post(f"{server.url}/invocations", json={"inputs": [[1, 2, 3, 4]]}).raise_for_status()
        httpx.get(f"{server.url}/metrics").raise_for_status()
        httpx.get(f"{server.url}/version").raise_for_status()
        assert server.stop() == 0
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "onnxruntime" in imported
    assert imported.isdisjoint(HEAVY)


def test_health_metrics_and_metadata_tell_what_was_served(client):
    client.post("/models/flights/invocations", json={"inputs": [RECORD]})
    client.post("/models/flights/invocations", json={"inputs": 1})
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["models"]["flights"] == {"status": "ok", "version": 2}
    client.post("/models/flights@champion/invocations", json={"inputs": 1})
    listed = {model["name"]: model for model in client.get("/models").json()["models"]}
    assert listed["flights"] == {"name": "flights", "active": 2, "aliases": {"active": 2, "champion": 1}, "versions": [1, 2]}
    told = client.get("/models/flights@champion").json()
    assert (told["uid"], told["facts"], told["signature"]["inputs"][0]["name"]) == ("flights:1", {"version": 1}, "distance")
    answer = client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    counts = {tuple(s.labels.values()): s.value for s in families["maas_requests"].samples}
    assert counts["flights", "2", "200"] >= 1
    assert counts["flights", "2", "400"] >= 1
    assert counts["flights", "1", "400"] >= 1
    seconds = [s for s in families["maas_request_duration_seconds"].samples if s.labels.get("model") == "flights"]
    total = sum(n for (model, version, _), n in counts.items() if (model, version) == ("flights", "2"))
    assert next(s.value for s in seconds if s.name.endswith("_count") and s.labels["version"] == "2") == total
    assert families["process_resident_memory_bytes"].samples[0].value > 10 << 20
    assert families["maas_models_loaded"].samples[0].value >= 2


def test_a_swap_under_load_is_seen_and_every_answer_belongs_to_one_version(one, tmp_path):
    with running(one.folder, tmp_path / "log") as server:
        body, golden, wrong, seen = {"inputs": [[1, 2, 3, 4]]}, {}, [], set()
        for version in (1, 2):
            golden[str(version)] = httpx.post(f"{server.url}/models/m:{version}/invocations", json=body).content
        stop = threading.Event()

        def ask():
            with httpx.Client(base_url=server.url) as client:
                while not stop.is_set():
                    answer = client.post("/models/m/invocations", json=body)
                    version = answer.headers["x-model-version"]
                    seen.add(version)
                    if answer.status_code != 200 or answer.content != golden[version]:
                        wrong.append(answer)

        callers = [threading.Thread(target=ask) for _ in range(3)]
        for caller in callers:
            caller.start()
        one.alias("m", active=2)
        until(lambda: "2" in seen)
        stop.set()
        for caller in callers:
            caller.join()
        assert wrong == []
        assert seen == {"1", "2"}
        # when the index breaks, the server goes on
        (one.folder / "index.json").write_text("{")
        until(lambda: "index is not read" in server.log.read_text())
        assert httpx.post(f"{server.url}/invocations", json=body).headers["x-model-version"] == "2"
        assert server.stop() == 0


def test_a_damaged_model_answers_503_with_the_reason_and_the_others_answer(one, tmp_path):
    one.add("bad", inputs=NUMBERS, active=1)
    (one.folder / "bad" / "1" / "model.onnx").write_bytes(b"\x80\x04cos\nsystem\n")
    with running(one.folder, tmp_path / "log") as server, httpx.Client(base_url=server.url) as client:
        answer = client.post("/models/bad/invocations", json={"inputs": []})
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "sha256" in answer.json()["message"]
        assert client.post("/models/m/invocations", json={"inputs": []}).status_code == 200
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert "sha256" in health.json()["models"]["bad"]["reason"]
        assert server.stop() == 0


def test_sigterm_lets_a_request_under_way_finish_refuses_new_ones_and_exits_with_0(one, tmp_path):
    with running(one.folder, tmp_path / "log", "--drain-s", "20") as server:
        body = json.dumps({"inputs": [[1, 2, 3, 4]]}).encode()
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=15) as slow:
            # given a request of which half has come, and an idle connection
            slow.sendall(head + body[:10])
            until(lambda: httpx.get(f"{server.url}/ping").status_code == 200)
            with socket.create_connection(("127.0.0.1", server.port), timeout=15) as idle:
                # when the server is told to end
                server.process.terminate()
                assert idle.recv(10) == b""
            # then nobody new is let in
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            # and the rest of the request is read and answered
            slow.sendall(body[10:])
            answer = slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert server.process.wait(15) == 0


def test_a_request_that_does_not_end_does_not_hold_the_server_beyond_the_drain(one, tmp_path):
    with (
        running(one.folder, tmp_path / "log", "--drain-s", "1") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=15) as slow,
    ):
        slow.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        until(lambda: httpx.get(f"{server.url}/ping").status_code == 200)
        assert server.stop() == 0


SHORT = """
import sys
from pathlib import Path
from serving.server.app import build_app
from serving.server.process import bind, serve
bound = bind("127.0.0.1", 0)
serve(build_app(Path(sys.argv[1])), bound, drain_s=1, keep_alive_s=1, on_ready=lambda: print(bound.getsockname()[1], flush=True))
"""


@pytest.mark.parametrize("sent", [b"", b"GET /ping HT", b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n"])
def test_a_silent_connection_is_closed_whatever_it_said_before(one, sent):
    with subprocess.Popen([sys.executable, "-c", SHORT, str(one.folder)], stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(sent)
            while connection.recv(65536):
                pass
        process.terminate()
    assert process.returncode == 0


def fails(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "serving.server", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr.strip().splitlines()


def test_a_port_in_use_is_one_line_and_exit_code_1(one):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = fails("--bundles", str(one.folder), "--port", str(port))
    assert (code, len(lines)) == (1, 1)
    assert f"127.0.0.1:{port}" in lines[0]
    assert "choose another port" in lines[0]


def test_a_folder_without_an_index_is_one_line_and_exit_code_1(tmp_path):
    code, lines = fails("--bundles", str(tmp_path), "--port", "0")
    assert (code, len(lines)) == (1, 1)
    assert "index.json: no such file" in lines[0]


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "x"], ["--max-rows", "0"], ["--nothing"]])
def test_a_wrong_option_is_named(tmp_path, arguments):
    code, lines = fails("--bundles", str(tmp_path), *arguments)
    assert code == 2
    assert arguments[0] in lines[-1]


def test_the_log_goes_to_the_file_that_was_named(one, tmp_path):
    log = tmp_path / "logs" / "server.jsonl"
    with running(one.folder, tmp_path / "err", "--log", str(log)) as server:
        assert server.stop() == 0
    (day,) = log.parent.glob("server-*.jsonl")
    line = json.loads(day.read_text().splitlines()[0])
    assert (line["model"], line["version"]) == ("m", 1)
    assert (tmp_path / "err").read_text() == ""


def test_many_rows_are_answered_while_others_are(one, tmp_path):
    with running(one.folder, tmp_path / "log") as server:
        rows = [[n, n + 1, n + 2, n + 3] for n in range(100_000)]
        answers = []
        big = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{server.url}/invocations", json={"inputs": rows}, timeout=60))
        )
        big.start()
        with httpx.Client(base_url=server.url) as client:
            while big.is_alive():
                assert client.get("/ping").status_code == 200
        big.join()
        assert len(answers[0].json()["predictions"]) == 100_000
        assert server.stop() == 0
