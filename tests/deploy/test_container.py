"""The Containerfile names what there is, and its entry point starts an executor as Spark expects.

No image is built by a test: a parser reads the file.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")
KNOWN = {"FROM", "RUN", "WORKDIR", "ENV", "COPY", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def complaints(text: str) -> list[str]:
    """What is wrong with a Containerfile."""
    found, stages, user = [], dict[str, str](), dict[str, str]()
    stage = ""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in instructions(text):
        if word not in KNOWN:
            found.append(f"{word} is not used here")
        if word == "FROM":
            image, _, stage = rest.partition(" AS ")
            if image not in stages and not re.fullmatch(r"[\w./-]+(:\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})", image):
                found.append(f"FROM {image}: not pinned")
            stages[stage] = image
            user[stage] = user.get(image, "")
        if word == "USER":
            user[stage] = rest
        if word == "COPY" and rest.startswith("--from="):
            origin = rest.split()[0].removeprefix("--from=")
            if origin not in stages:
                found.append(f"COPY --from={origin}: no such stage")
        elif word == "COPY":
            missing = [path for path in shlex.split(rest)[:-1] if not (ROOT / path).exists() or f"!{path}" not in ignored]
            found += [f"COPY {path}: not in the repository, or ignored" for path in missing]
        found += _of_run(rest) if word == "RUN" else []
    found += [f"{name} runs as root" for name in ("maas", "maas-server") if user.get(name) != "10001:10001"]
    return found


def _of_run(command: str) -> Iterator[str]:
    if "apt-get install" in command and "rm -rf /var/lib/apt/lists" not in command:
        yield "apt's lists stay in the layer"
    if "pip install" in command and not re.search(r"\w==\d", command):
        yield "pip installs what is newest"
    if "uv sync" in command and "--locked" not in command:
        yield "the environment is not the lock file's"


def test_the_containerfile_is_sound():
    assert complaints(TEXT) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("debian:12.11-slim", "debian:latest"),
        ("COPY training training", "COPY learning learning"),
        ("COPY conf conf", "ADD https://example.com/conf.tar conf"),
        ("--from=build-server", "--from=builder"),
        ("USER 10001:10001\nEXPOSE", "EXPOSE"),
        ("uv==0.13.8", "uv"),
        ("--locked --only-group", "--only-group"),
        (" \\\n && rm -rf /var/lib/apt/lists/* \\\n && groupadd", " \\\n && groupadd"),
    ],
)
def test_the_reader_complains_when_one_thing_is_wrong(before, after):
    assert before in TEXT
    assert len(complaints(TEXT.replace(before, after))) == 1


def test_images_and_manifests_agree_on_user_and_names():
    overlay = yaml.safe_load((ROOT / "deploy/k8s/overlays/small/kustomization.yaml").read_text(encoding="utf-8"))
    assert {image["name"] for image in overlay["images"]} == {"maas", "maas-server"}
    for image in overlay["images"]:
        assert f"AS {image['name']}\n" in TEXT
        assert f"--tag {image['newName']}:{image['newTag']} " in TEXT
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert overlay["images"][0]["newTag"] == tomllib.load(file)["project"]["version"]


def test_the_server_s_image_holds_what_the_server_imports_and_no_more():
    code = "import sys, serving.server.app, serving.server.process; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    homes = packages_distributions()
    # click comes with uvicorn, setuptools' hook with the environment
    imported = {homes[name][0].lower() for name in done.stdout.split() if name in homes} - {"maas", "setuptools", "click"}
    with (ROOT / "pyproject.toml").open("rb") as file:
        group = tomllib.load(file)["dependency-groups"]["serving"]
    assert imported == {re.split(r"[<>=]", requirement)[0] for requirement in group}


def test_the_entry_point_starts_an_executor_with_what_spark_says(tmp_path):
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\n')
    java.chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "SPARK_HOME": "/spark",
        "SPARK_CONF_DIR": "/opt/spark/conf",
        "HADOOP_CONF_DIR": "/etc/hadoop/conf",
        "SPARK_JAVA_OPT_10": "-Dten=10",
        "SPARK_JAVA_OPT_2": "-Dtwo=a b",
        "SPARK_EXECUTOR_MEMORY": "2g",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.1.2.3:7078",
        "SPARK_EXECUTOR_ID": "4",
        "SPARK_EXECUTOR_CORES": "2",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "10.1.2.4",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "maas-exec-4",
    }
    done = subprocess.run(
        [str(ROOT / "deploy/entrypoint"), "executor"], env=given, capture_output=True, text=True, timeout=20, check=True
    )
    folder, *arguments = done.stdout.splitlines()
    assert Path(folder).parent == tmp_path
    assert arguments == [
        *("-Dtwo=a b", "-Dten=10", "-Xms2g", "-Xmx2g"),
        *("-cp", "/opt/spark/conf:/etc/hadoop/conf:/spark/jars/*"),
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *("--driver-url", "spark://CoarseGrainedScheduler@10.1.2.3:7078", "--executor-id", "4", "--cores", "2"),
        *("--app-id", "spark-1", "--hostname", "10.1.2.4", "--resourceProfileId", "0", "--podName", "maas-exec-4"),
    ]


def test_the_entry_point_hands_on_settings_with_dots_in_their_names():
    done = subprocess.run(
        [str(ROOT / "deploy/entrypoint"), "env"],
        env={"PATH": os.environ["PATH"], "MAAS__SPARK__OPTIONS__SPARK.KUBERNETES.DRIVER.POD.NAME": "pipeline-1"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert "MAAS__SPARK__OPTIONS__SPARK.KUBERNETES.DRIVER.POD.NAME=pipeline-1" in done.stdout.splitlines()
