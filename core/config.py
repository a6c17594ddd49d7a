"""YAML files read into pydantic models, with errors that say file, key and the nearest valid key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A model that is frozen and takes no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a key written twice: the first would be lost without a word."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.MarkedYAMLError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError when it is missing, unreadable or no mapping."""
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file; raises ConfigError when it is missing or no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", file=str(path)) from error


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping that a YAML text is; ``where`` is the file or place that an error names."""
    try:
        document = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 — a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: not YAML: {error.problem}", file=where) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{where}: not YAML: {error}", file=where) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: holds a {type(document).__name__}, expected a mapping of keys", file=where)
    return document


def load(path: Path, model: type[M]) -> M:
    """Read a YAML file into ``model``; raises ConfigError naming file, key and, for an unknown key, the nearest valid one."""
    return validate(read_yaml(path), model, str(path))


def validate(document: Mapping[str, Any], model: type[M], where: str) -> M:
    """``document`` as ``model``; ``where`` is the file or place that an error names."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(error, model, where)), file=where) from error


def from_environment(environment: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """The tree that variables such as ``PREFIXsection__key`` make."""
    tree: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith(prefix):
            continue
        *sections, key = name.removeprefix(prefix).lower().split("__")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = value
    return tree


def merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put ``more`` into a tree, key by key; what is there already gives way."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    lines = []
    for item in error.errors()[:5]:
        key = ".".join(str(part) for part in item["loc"]) or "(top)"
        if item["type"] == "extra_forbidden":
            valid = _valid_keys(model, item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), valid, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(sorted(valid)) or 'none'}"
            lines.append(f"{where}: unknown key {key!r}: {hint}")
        elif item["type"] == "missing":
            lines.append(f"{where}: key {key!r} is missing")
        else:
            lines.append(f"{where}: key {key!r}: {item['msg'].removeprefix('Value error, ')}")
    return lines


def _valid_keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """The keys valid at ``place`` below ``model``, following nested models, lists, mappings and tagged unions."""
    candidates: list[Any] = [model]
    for part in place:
        step: list[Any] = []
        for candidate in candidates:
            if _is_model(candidate) and part in candidate.model_fields:
                step.extend(_models_in(candidate.model_fields[str(part)].annotation))
            else:  # a list index, a mapping key or a union's tag
                step.append(candidate)
        tagged = [c for c in step if _is_model(c) and part in _tags(c)]
        candidates = tagged or step
    return [key for candidate in candidates if _is_model(candidate) for key in candidate.model_fields]


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _models_in(annotation: Any) -> list[Any]:
    if _is_model(annotation):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _tags(model: type[BaseModel]) -> set[Any]:
    field = model.model_fields.get("kind")
    return set(get_args(field.annotation)) if field else set()
