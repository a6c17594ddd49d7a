"""Runs: what a training took and gave, by epoch, in an experiment named like its pipeline."""

from __future__ import annotations

import getpass
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import MaasError
from core.logs import bind, mask
from core.registry.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH = 100
_LONGEST_TAG = 5000


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way. Every method raises StorageError when the store cannot take it."""

    store: Store
    id: str
    experiment: str

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings become dotted names, and the value of a secret is written as ``***``."""
        from mlflow.entities import Param  # noqa: PLC0415

        flat = [Param(key, str(value)) for key, value in _flatten(params)]
        for at in range(0, len(flat), _BATCH):
            batch = flat[at : at + _BATCH]
            self.store.call(lambda client, batch=batch: client.log_batch(self.id, params=batch))  # type: ignore[misc]

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record metrics at ``step``, which is the epoch."""
        from mlflow.entities import Metric  # noqa: PLC0415

        now = int(time.time() * 1000)
        batch = [Metric(key, float(value), now, step) for key, value in metrics.items()]
        self.store.call(lambda client: client.log_batch(self.id, metrics=batch))

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags, masked like parameters."""
        from mlflow.entities import RunTag  # noqa: PLC0415

        batch = [RunTag(key, _tag(key, value)) for key, value in tags.items()]
        self.store.call(lambda client: client.log_batch(self.id, tags=batch))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Copy a file into the run's artifacts, under ``folder``."""
        self.store.call(lambda client: client.log_artifact(self.id, str(path), folder))

    def log_json(self, document: Any, name: str) -> None:
        """Write ``document`` as the artifact ``name``, masked like parameters."""
        text = json.dumps(mask("", document), indent=1)
        self.store.call(lambda client: client.log_text(self.id, text, name))


@contextmanager
def start_run(
    store: Store,
    experiment: str,
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """A run that is FINISHED when the block ends, FAILED when it raises, KILLED when it is interrupted.

    Log records of the block carry its id. The reason of a failure stands in the tag ``maas.error``.
    """
    run = _create(store, experiment, name, {"mlflow.user": _user(), "mlflow.source.name": "maas", **(tags or {})})
    with bind(run_id=run.id):
        try:
            run.log_params(params or {})
            yield run
        except BaseException as error:
            _finish_badly(run, error)
            raise
        store.call(lambda client: client.set_terminated(run.id, "FINISHED"))


def end_abandoned(store: Store, experiment: str, abandoned: Callable[[Mapping[str, str]], bool]) -> list[str]:
    """Mark KILLED each run of the experiment that is RUNNING and of whose tags ``abandoned`` is true; returns their ids."""
    experiment_id = store.call(lambda client: _experiment_id(client, experiment))
    running = store.call(lambda client: client.search_runs([experiment_id], "attributes.status = 'RUNNING'"))
    left = [Run(store, run.info.run_id, experiment) for run in running if abandoned(run.data.tags)]
    for run in left:
        run.set_tags({"maas.error": "its process ended without a word: killed?"})
        store.call(lambda client, run=run: client.set_terminated(run.id, "KILLED"))  # type: ignore[misc]
    return [run.id for run in left]


def _create(store: Store, experiment: str, name: str | None, tags: Mapping[str, Any]) -> Run:
    experiment_id = store.call(lambda client: _experiment_id(client, experiment))
    texts = {key: _tag(key, value) for key, value in tags.items()}
    made = store.call(lambda client: client.create_run(experiment_id, tags=texts, run_name=name))
    return Run(store, made.info.run_id, experiment)


def _experiment_id(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
    return str(found.experiment_id)


def _finish_badly(run: Run, error: BaseException) -> None:
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    try:
        run.set_tags({"maas.error": f"{type(error).__name__}: {error}"})
        run.store.call(lambda client: client.set_terminated(run.id, status))
    except MaasError as second:  # the first error is the one to be seen
        error.add_note(f"run {run.id} could not be marked {status}: {second}")


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        hidden = mask(key, value)
        if isinstance(hidden, Mapping):
            yield from _flatten(hidden, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", hidden


def _tag(key: str, value: Any) -> str:
    hidden = mask(key, value)
    return (hidden if isinstance(hidden, str) else json.dumps(hidden))[:_LONGEST_TAG]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def read_artifact(store: Store, run_id: str, name: str) -> str:
    """The text of a run's artifact; raises ModelNotFound or StorageError."""
    with tempfile.TemporaryDirectory() as folder:
        path = store.call(lambda client: client.download_artifacts(run_id, name, folder))
        return Path(path).read_text(encoding="utf-8")
