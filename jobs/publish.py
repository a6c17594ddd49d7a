"""The step publish: a trained network through the gate, into the registry, and on to the servers."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.errors import NotTrained
from core.registry.bundles import BundleCache
from jobs.context import Context, Report, step_main
from jobs.train import Dataset, Trained, current_dataset, folder_of
from training.evaluation import gate

OUTPUT = Column("probability", Dtype.FLOAT)
_ALIAS_MOVED = "maas.alias_moved"


def publish_model(context: Context) -> Report:
    """Register the training of the current dataset and move the alias to it; a training that is registered is not doubled.

    Raises PublishRefused with the figures when the network does not beat its baselines; NotTrained when there is no training.
    """
    dataset = current_dataset(context)
    trained = Trained.read(folder_of(context, dataset))
    if trained is None:
        raise NotTrained(f"{dataset.table} version {dataset.version} has no finished training: run the step train first")
    config = context.pipeline.publish
    version = context.registry.find(config.model, {"maas.identity": dataset.identity})
    if version is None:
        context.progress(f"{config.model}: gate, bundle, MLflow")
        gate(trained.evaluation)
        with tempfile.TemporaryDirectory(prefix="maas-publish-") as folder:
            bundle = Path(folder) / "bundle"
            write_bundle(
                bundle,
                name=config.model,
                onnx=trained.onnx.read_bytes(),
                features=dataset.fitted,
                signature=signature(context, dataset),
                facts={**trained.facts, "evaluation": _brief(trained)},
            )
            version = context.registry.publish(
                bundle,
                name=config.model,
                run_id=trained.run_id,
                description=context.pipeline.description,
                alias=None,
            )
    # a publish may be killed before the alias moves; one that was moved back by hand later stays where it was put
    fresh = _ALIAS_MOVED not in version.tags
    if fresh:
        context.registry.set_alias(config.alias, version.name, version.version)
        context.registry.set_tag(version, _ALIAS_MOVED, config.alias)
    refused = BundleCache.open(context.settings).sync().refused
    state = f"registered, alias {config.alias} moved to it" if fresh else "registered already"
    lines = [f"{version.uid}: {state}", *(f"not served: {error.message}" for error in refused)]
    return Report("publish", lines, {"model": version.name, "version": version.version})


def signature(context: Context, dataset: Dataset) -> Signature:
    """The raw record that the transforms read, with the pipeline's required columns; one probability as the answer."""
    required = set(context.pipeline.features.required)
    inputs = tuple(replace(column, required=column.name in required) for column in dataset.fitted.inputs)
    return Signature(inputs, (OUTPUT,))


def _brief(trained: Trained) -> dict[str, object]:
    evaluation = trained.evaluation.to_json()
    return {key: evaluation[key] for key in ("rows", "network", "logistic", "base_rate")}


if __name__ == "__main__":
    step_main(publish_model)
