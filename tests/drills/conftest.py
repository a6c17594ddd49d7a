"""A small airline on the cluster, run twice undisturbed; each drill starts from the state between, in places of its own."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hdfs_native
import psutil
import pyarrow as pa
import pytest

from core.contracts import ModelUid, TableName
from core.lake.catalog import Lake
from core.registry.versions import Registry
from core.settings import Settings, load_settings
from tests.airline import content, small_airline

ROOT = Path(__file__).parents[2]
RESULTS = "MAAS_DRILLS_RESULTS"
"""The variable that names the file in which results are kept; a drill that has one there is not run again."""

FIRST, ALL = 20, 24
"""Days of the airline in the first run, and in the second, which every drill does again with a fault."""

HERE = {"MAAS__SPARK__MASTER": "local[2,4]", "MAAS__TRAINING__LAUNCHER": "host"}
"""Spark and the ranks beside the driver, where the drill is not about YARN: a third of the time, the same servers."""

WHEN = {"_ingested_at"}
"""The one column that two runs over the same records do not share."""


@dataclass
class Platform:
    """The pipeline with a lake, journal, caches and model name of its own on the services that all share."""

    environment: dict[str, str]
    folder: Path
    model: str = "flights"
    runs: list["Run"] = field(default_factory=list)

    @cached_property
    def settings(self) -> Settings:
        return load_settings(environment=self.variables)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    @cached_property
    def variables(self) -> dict[str, str]:
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {**self.environment, **small_airline(self.folder / "root", self.model), "TMPDIR": str(temporary)}

    def maas(self, *arguments: str) -> "Run":
        with self.started(*arguments) as run:
            run.wait()
        return run

    @contextmanager
    def started(self, *arguments: str) -> Iterator["Run"]:
        """The command, running; nothing that it started is left when the block ends."""
        run = Run(arguments, self.folder / f"run{len(self.runs)}", {**os.environ, **self.variables})
        self.runs.append(run)
        try:
            yield run
        finally:
            for process in self.left():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            run.process.wait()

    def left(self) -> list[psutil.Process]:
        """The processes of this machine that a command here started."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("TMPDIR") == self.variables["TMPDIR"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def versions(self) -> dict[str, int]:
        lake = self.lake
        return {str(name): lake.version(name) or 0 for name in lake.names()}

    def content(self, table: str) -> pa.Table:
        return content(self.lake, table, without=WHEN)

    def attempts(self, step: str) -> list[dict[str, Any]]:
        """The journal's entries of a step, oldest first."""
        lines = self.maas("runs", "flights", "--json").stdout.splitlines()
        return [entry for entry in map(json.loads, reversed(lines)) if entry["step"] == step]


class Run:
    """One command; what it says goes to files."""

    def __init__(self, arguments: tuple[str, ...], place: Path, environment: dict[str, str]) -> None:
        self._out, self._err = place.with_suffix(".out"), place.with_suffix(".err")
        self.begun = time.time()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "-m", "jobs.cli", *arguments]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL)

    def wait(self) -> int:
        self.code = self.process.wait(1200)
        self.seconds = time.time() - self.begun
        return self.code

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()


@dataclass
class Prepared:
    """The undisturbed runs."""

    reference: Platform
    first: dict[str, int]
    """The versions of all tables after the first run, which ended with the features."""
    last: dict[str, int]
    _contents: dict[str, pa.Table] = field(default_factory=dict)

    def platform(self, folder: Path, step: str, *, yarn: bool) -> Platform:
        """The state before ``step`` of the second run. Steps that write the lake get a copy of it, the others use the same."""
        token = uuid.uuid4().hex[:8]
        model = f"flights_{token}" if step == "publish" else "flights"
        own = {
            "MAAS__JOURNAL__URL": f"{self.reference.settings.journal.url}_{token}",
            "MAAS__SERVING__BUNDLES": f"{token}/bundles",
            "MAAS__LOGS__FOLDER": f"{token}/logs",
        }
        if step == "train":
            lake = self.reference.settings.lake.root
            own |= {"MAAS__TRAINING__FOLDER": f"{token}/training", "MAAS__TRAINING__SHARED": f"{lake}-{token}-training"}
        written = LAYERS.get(step)
        if written:
            own["MAAS__LAKE__ROOT"] = f"{self.reference.settings.lake.root}-{token}"
            kept = {name: version for name, version in self.last.items() if not self._changes(name, step)}
            copy_lake(self.reference.lake, own["MAAS__LAKE__ROOT"], {**self.first, **kept})
        if yarn:
            own |= {"MAAS__SPARK__MASTER": "yarn", "MAAS__TRAINING__LAUNCHER": "spark", "MAAS__SPARK__EXECUTOR_MEMORY": "640m"}
        return Platform({**self.reference.environment, **own}, folder, model)

    def written(self, step: str) -> list[str]:
        """The tables that ``step`` wrote in the second run."""
        layers = LAYERS.get(step, ())
        return [name for name in self.last if name.split(".")[0] in layers and self.first.get(name) != self.last[name]]

    def content(self, table: str) -> pa.Table:
        """What the second run left in a table."""
        if table not in self._contents:
            self._contents[table] = self.reference.content(table)
        return self._contents[table]

    def assert_same(self, platform: Platform, step: str, before: dict[str, int], begun: float) -> None:
        """The step left what it left undisturbed, once, and touched nothing else."""
        after, written = platform.versions(), self.written(step)
        assert {name: version for name, version in after.items() if name not in written} == {
            name: version for name, version in before.items() if name not in written
        }
        for name in written:
            assert after[name] == self.last[name], name
            ours, theirs = platform.content(name), self.content(name)
            assert ours.schema.remove_metadata() == theirs.schema.remove_metadata(), name
            assert ours.equals(theirs), name
        if step == "train":
            self._assert_one_training(platform, begun)
        if step == "publish":
            self._assert_one_version(platform)

    def _assert_one_training(self, platform: Platform, begun: float) -> None:
        ours, theirs = trained(platform), trained(self.reference)
        assert ours["evaluation"] == theirs["evaluation"]
        assert ours["facts"]["identity"] == theirs["facts"]["identity"]
        store = Registry.open(platform.settings).store
        experiment = store.call(lambda client: client.get_experiment_by_name("flights")).experiment_id
        runs = store.call(lambda client: client.search_runs([experiment], f"attributes.start_time >= {int(begun * 1000)}"))
        assert [run.info.run_id for run in runs if run.info.status == "FINISHED"] == [ours["run_id"]]
        assert "RUNNING" not in {run.info.status for run in runs}

    def _assert_one_version(self, platform: Platform) -> None:
        ours = next(info for info in Registry.open(platform.settings).models() if info.name == platform.model)
        theirs = Registry.open(self.reference.settings).resolve(ModelUid("flights"))
        (version,) = ours.versions
        assert ours.aliases == {"active": 1}
        assert version.evaluation == theirs.evaluation
        assert version.facts["identity"] == theirs.facts["identity"]
        bundles = platform.settings.at_home(platform.settings.serving.bundles)
        assert (bundles / platform.model / "1" / "manifest.json").is_file()

    def keep(self, drill: str, **result: Any) -> None:
        """Add a result to the file that is named for it."""
        if file := os.environ.get(RESULTS):
            with Path(file).open("a") as out:
                out.write(json.dumps({"drill": drill, **result}) + "\n")

    def _changes(self, table: str, step: str) -> bool:
        """Whether ``step`` or a later one writes the table."""
        layer, steps = table.split(".", 1)[0], list(LAYERS)
        return next(steps.index(name) for name in steps if layer in LAYERS[name]) >= steps.index(step)


LAYERS = {
    "ingest": ("raw",),
    "extract": ("extracted", "quarantine"),
    "standardize": ("features",),
    "score": ("scored",),
}
"""What each step writes into the lake."""


def trained(platform: Platform) -> Any:
    """What the newest training left."""
    folder = platform.settings.at_home(platform.settings.training.folder) / "flights"
    newest = max(folder.glob("*/trained.json"), key=lambda file: file.stat().st_mtime)
    return json.loads(newest.read_text())


def copy_lake(lake: Lake, target: str, versions: dict[str, int]) -> None:
    """Copy tables as they were at these versions: all data files, and the commits up to there."""
    client = hdfs_native.Client(f"hdfs://{urlsplit(target).netloc}", config=dict(lake.options))
    options = hdfs_native.WriteOptions(create_parent=True)

    def copy(source: str, table: str) -> None:
        path = source.replace(urlsplit(lake.place).path, urlsplit(target).path, 1)
        name = source.rpartition("/")[2]
        if "/_delta_log/" in source and int(name.partition(".")[0]) > versions[table]:
            return
        with client.create(path, options) as file:
            file.write(bytes(client.read(source).readall()))

    with ThreadPoolExecutor(8) as pool:
        for table in versions:
            place = urlsplit(lake.path(TableName.parse(table))).path
            files = [status.path for status in client.list_status(place, recursive=True) if not status.isdir]
            list(pool.map(copy, files, [table] * len(files)))


@pytest.fixture(scope="session")
def prepared(services: Any, make_environment: Callable[[Path], dict[str, str]]) -> Prepared:
    """Two runs of the pipeline with days added between; those of an earlier run in a home that was kept."""
    home = Path(services.environment["MAAS__HOME"])
    kept = home / "prepared.json"
    if kept.is_file():
        environment, *versions = json.loads(kept.read_text())
        return Prepared(Platform(environment, home / "reference"), *versions)
    environment = {**make_environment(home / "airline"), **HERE}
    platform = Platform(environment, home / "reference")
    versions = [run(platform, FIRST, "ingest", "extract", "standardize"), run(platform, ALL)]
    kept.write_text(json.dumps([environment, *versions]))
    return Prepared(platform, *versions)


def run(platform: Platform, days: int, *steps: str) -> dict[str, int]:
    """The versions of all tables after a run of these steps (none: all) over the first ``days`` days."""
    command = [sys.executable, "-m", "jobs.airline", "--every", "3", "--days", str(days)]
    environment = {**os.environ, **platform.variables}
    seeded = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert seeded.returncode == 0, seeded.stderr
    done = platform.maas("run", "flights", *(f"--step={step}" for step in steps))
    assert done.code == 0, done.stderr
    return platform.versions()


@pytest.fixture
def drill(prepared: Prepared, tmp_path: Path) -> Callable[..., Platform]:
    return partial(prepared.platform, tmp_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the drills whose results are kept."""
    if file := os.environ.get(RESULTS):
        lines = Path(file).read_text().splitlines() if Path(file).is_file() else []
        known = {json.loads(line)["drill"] for line in lines}
        done = [item for item in items if item.name in known]
        items[:] = [item for item in items if item.name not in known]
        config.hook.pytest_deselected(items=done)
