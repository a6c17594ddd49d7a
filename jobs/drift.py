"""``maas drift``: the newest features against those that a model version was trained on."""

from __future__ import annotations

from core.bundle import open_bundle
from core.contracts import ModelUid, TableName
from core.errors import ModelError
from core.lake.catalog import Lake
from core.registry.bundles import BundleCache
from core.registry.versions import ModelVersion, Registry
from core.settings import Settings
from jobs.pipeline import load_pipeline
from monitoring.drift import Drift, Rows, compare, last_days

TRAINED_ON = {"split": "train"}


def examine(settings: Settings, pipeline: str, *, reference: int | None, days: int) -> tuple[ModelVersion, Drift]:
    """Compare the last ``days`` days of the pipeline's feature table with the training rows of a version of its model.

    ``reference`` is that version's number; None: the one that the pipeline's alias means. The columns are those that the model
    reads. Raises ModelError, ModelNotFound, TableError or StorageError.
    """
    config, lake = load_pipeline(settings, pipeline).pipeline, Lake.of(settings)
    publish = config.publish
    uid = ModelUid(publish.model, publish.alias) if reference is None else ModelUid(publish.model, None, reference)
    version = Registry.open(settings).resolve(uid)
    if version.dataset is None:
        raise ModelError(f"model {version.uid} names no dataset: it was not trained by this platform", uid=str(version.uid))
    columns = open_bundle(BundleCache.open(settings).fetch(version)).features.inputs
    table, number = version.dataset
    trained = Rows(f"{table} version {number}", lake, lake.snapshot(table, number, TRAINED_ON))
    features = TableName.parse(config.features.table)
    newest = Rows(f"{features}, the newest version,", lake, lake.snapshot(features))
    period = last_days(newest, config.features.split.by, days)
    return version, compare(trained, Rows(newest.name, lake, newest.snapshot, period), columns)
