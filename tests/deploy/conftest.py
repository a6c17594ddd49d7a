"""Renders the overlays as ``kubectl kustomize`` does, for machines that have no kubectl.

It knows the part of Kustomize that our files use and refuses the rest: resources, namespace, generators of ConfigMaps from files,
images, and JSON patches (RFC 6902: add, replace, remove). Where kubectl is installed, a test holds the two equal.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "deploy" / "k8s" / "overlays"

Manifest = dict[str, Any]

_KNOWN = {
    *("apiVersion", "kind", "namespace", "generatorOptions"),
    *("configMapGenerator", "resources", "images", "patches"),
}


@pytest.fixture(scope="session")
def render() -> Callable[[str], list[Manifest]]:
    """The manifests of an overlay by its name; each call gives copies of its own."""
    made: dict[str, list[Manifest]] = {}

    def rendered(overlay: str) -> list[Manifest]:
        if overlay not in made:
            made[overlay] = kustomize(OVERLAYS / overlay)
        return copy.deepcopy(made[overlay])

    return rendered


def kustomize(folder: Path) -> list[Manifest]:
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(plan) <= _KNOWN, f"{folder}: this renderer does not know {sorted(set(plan) - _KNOWN)}"
    assert plan.get("generatorOptions") == {"disableNameSuffixHash": True}
    found = [manifest for resource in plan["resources"] for manifest in _resource(folder / resource)]
    found += [_config_map(folder, generator) for generator in plan.get("configMapGenerator", ())]
    for manifest in found:
        if manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = plan["namespace"]
        _set_images(manifest, plan.get("images", ()))
    for patch in plan.get("patches", ()):
        chosen = [m for m in found if (m["kind"], m["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"])]
        assert len(chosen) == 1, f"{folder}: {patch['target']} names {len(chosen)} manifests"
        for operation in yaml.safe_load(patch["patch"]):
            _apply(chosen[0], **operation)
    return found


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return kustomize(path)
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def _config_map(folder: Path, generator: dict[str, Any]) -> Manifest:
    assert set(generator) == {"name", "files"}
    data = {file: (folder / file).read_text(encoding="utf-8") for file in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def _set_images(node: Any, images: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _set_images(item, images)
    elif isinstance(node, dict):
        for image in images:
            if node.get("image") == image["name"]:
                node["image"] = f"{image['newName']}:{image['newTag']}"
        for value in node.values():
            _set_images(value, images)


def _apply(manifest: Manifest, *, op: str, path: str, value: Any = None) -> None:
    *way, last = path.removeprefix("/").split("/")
    node: Any = manifest
    for key in way:
        node = node[int(key)] if isinstance(node, list) else node[key]
    assert op == "add" or last in node, f"{path}: nothing to {op}"
    if op == "remove":
        del node[last]
    else:
        assert op in ("add", "replace")
        node[last] = value
