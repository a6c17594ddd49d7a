"""Model versions: publish a bundle as one, find one by UID or by tags, move an alias."""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from core.bundle import Bundle, open_bundle
from core.contracts import ACTIVE, ModelUid, TableName
from core.errors import ConfigError, ModelError, ModelNotFound
from core.logs import mask
from core.registry.flavour import save_model
from core.registry.store import Store
from core.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "maas."
_DIGEST = f"{PREFIX}bundle_sha256"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PAGE = 200
_LONGEST_TAG = 50_000


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version."""

    name: str
    version: int
    run_id: str | None
    description: str
    created: datetime
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def uid(self) -> ModelUid:
        """``name:version``."""
        return ModelUid(self.name, None, self.version)

    @property
    def bundle_sha256(self) -> str:
        """The sha256 of its bundle's manifest; raises ModelError for a version that this platform did not publish."""
        digest = self.tags.get(_DIGEST, "")
        if not _SHA256.fullmatch(digest):
            raise ModelError(f"model {self.uid} has no tag {_DIGEST}: it was not published by this platform", uid=str(self.uid))
        return digest

    @property
    def facts(self) -> dict[str, Any]:
        """What its bundle says of how it was made: dataset, digests, evaluation … as texts, mappings and lists."""
        return {key.removeprefix(PREFIX): _fact(value) for key, value in self.tags.items() if key.startswith(PREFIX)}

    @property
    def dataset(self) -> tuple[TableName, int] | None:
        """The table and its version that it was trained on; None when it names none. Raises ModelError for what is neither."""
        facts = self.facts
        if "dataset" not in facts and "dataset_version" not in facts:
            return None
        try:
            return TableName.parse(str(facts["dataset"])), int(facts["dataset_version"])
        except (ConfigError, KeyError, ValueError) as error:
            raise ModelError(
                f"model {self.uid}: its tags {PREFIX}dataset… name no version of a table", uid=str(self.uid)
            ) from error

    @property
    def evaluation(self) -> dict[str, Any]:
        """The fact ``evaluation``; raises ModelError when there is none."""
        found = self.facts.get("evaluation")
        if not isinstance(found, dict):
            raise ModelError(f"model {self.uid} was published without an evaluation", uid=str(self.uid))
        return found


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A registered model: its versions, newest first, and what each alias means."""

    name: str
    versions: tuple[ModelVersion, ...]
    aliases: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Registry:
    """The registered models of one store."""

    store: Store

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The registry that the settings name; it is made when first written to."""
        return cls(Store.of(settings))

    def publish(
        self,
        bundle_folder: Path,
        *,
        name: str,
        run_id: str,
        description: str = "",
        tags: Mapping[str, Any] | None = None,
        alias: str | None = ACTIVE,
        example: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Register the bundle as the next version of ``name``, once its files are in place, and move ``alias`` to it.

        The bundle's facts become tags under ``maas.``, beside ``tags``. ``example`` is one raw record, shown with the model.
        Raises ModelError or CorruptFile for a bundle that cannot be read, ModelNotFound for an unknown run or an impossible name.
        """
        _check_name(name, alias or ACTIVE)
        bundle = open_bundle(bundle_folder)
        texts = {**_facts(bundle), **{key: _text(key, value) for key, value in (tags or {}).items()}, _DIGEST: bundle.digest}
        model = self._log_model(bundle, bundle_folder, name, run_id, example)
        self.store.call(lambda client: _ensure_model(client, name))
        made = self.store.call(
            lambda client: client.create_model_version(
                name, model.artifact_location, run_id, texts, description=description, model_id=model.model_id
            )
        )
        if alias is not None:
            self.set_alias(alias, name, int(made.version))
        return self.resolve(ModelUid(name, None, int(made.version)))

    def _log_model(self, bundle: Bundle, folder: Path, name: str, run_id: str, example: Mapping[str, Any] | None) -> Any:
        """Write the MLflow model into the artifacts of a new logged model, READY when all its files are there."""
        experiment = self.store.call(lambda client: client.get_run(run_id)).info.experiment_id
        model = self.store.call(lambda client: client.create_logged_model(experiment, name, source_run_id=run_id))
        from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 — MLflow takes seconds to import

        identity = {"artifact_path": model.artifact_location, "run_id": run_id, "model_id": model.model_id}

        def write(client: MlflowClient) -> None:
            with tempfile.TemporaryDirectory(prefix="maas-model-") as temporary:
                save_model(bundle, folder, Path(temporary) / "model", example=example, **identity)
                client.log_model_artifacts(model.model_id, str(Path(temporary) / "model"))

        try:
            self.store.call(write)
        except BaseException:
            self.store.call(lambda client: client.finalize_logged_model(model.model_id, "FAILED"))
            raise
        self.store.call(lambda client: client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)]))
        return self.store.call(lambda client: client.finalize_logged_model(model.model_id, "READY"))

    def resolve(self, uid: ModelUid) -> ModelVersion:
        """The version that ``uid`` names; raises ModelNotFound with the nearest names, or what there is of the model."""
        found = self.store.call(lambda client: client.search_registered_models(f"name = '{_check_name(uid.name)}'"))
        if not found:
            names = [info.name for info in self.models()]
            near = difflib.get_close_matches(uid.name, names, n=3, cutoff=0.4) or sorted(names)[:3]
            hint = f"the nearest there are: {', '.join(near)}" if near else "none is registered yet: run `maas run PIPELINE`"
            raise ModelNotFound(f"no model {uid.name!r}: {hint}", uid=str(uid))
        aliases = {alias: int(version) for alias, version in found[0].aliases.items()}
        version = uid.version if uid.version is not None else aliases.get(str(uid.alias))
        if version is None:
            there = ", ".join(sorted(aliases)) or "none"
            raise ModelNotFound(f"model {uid.name!r} has no alias {uid.alias!r}; there are: {there}", uid=str(uid))
        try:
            return _version(self.store.call(lambda client: client.get_model_version(uid.name, str(version))), aliases)
        except ModelNotFound as error:
            newest = max((v.version for v in self._versions(uid.name, aliases)), default=0)
            raise ModelNotFound(f"model {uid.name!r} has no version {version}; the newest is {newest}", uid=str(uid)) from error

    def models(self) -> list[ModelInfo]:
        """Every registered model, by name."""
        found: list[Any] = []
        token = None
        while True:
            page = self.store.call(lambda client, token=token: client.search_registered_models(None, _PAGE, None, token))  # type: ignore[misc]
            found.extend(page)
            token = page.token
            if not token:
                break
        infos = []
        for model in sorted(found, key=lambda model: str(model.name)):
            aliases = {alias: int(version) for alias, version in model.aliases.items()}
            infos.append(ModelInfo(model.name, self._versions(model.name, aliases), aliases))
        return infos

    def find(self, name: str, tags: Mapping[str, Any]) -> ModelVersion | None:
        """The newest version of ``name`` that bears all of ``tags``, or None."""
        wanted = {key: _text(key, value) for key, value in tags.items()}
        found = self.store.call(lambda client: client.search_registered_models(f"name = '{_check_name(name)}'"))
        if not found:
            return None
        aliases = {alias: int(version) for alias, version in found[0].aliases.items()}
        return next((v for v in self._versions(name, aliases) if wanted.items() <= v.tags.items()), None)

    def set_alias(self, alias: str, name: str, version: int, *, expected: int | None = None) -> None:
        """Let ``name@alias`` mean ``version``; raises ModelNotFound when there is no such version.

        With ``expected``, only if it means that version now: of several who move it from the same version at the same moment one
        wins, and the others get ModelError with what it means by then.
        """
        _check_name(name, alias)
        if expected is None:
            self.store.call(lambda client: client.set_registered_model_alias(name, alias, str(version)))
            return
        self.resolve(ModelUid(name, None, version))
        if not self.store.move_alias(name, alias, version, expected):
            now = self.resolve(ModelUid(name, alias)).version
            raise ModelError(
                f"{name}@{alias} means version {now} by now, not {expected}: another moved it; look, and decide again",
                uid=f"{name}@{alias}",
                version=now,
            )

    def set_tag(self, version: ModelVersion, key: str, value: str) -> None:
        """Write one tag of a version, in place of what it was; secrets are masked."""
        self.store.call(lambda client: client.set_model_version_tag(version.name, str(version.version), key, _text(key, value)))

    def _versions(self, name: str, aliases: Mapping[str, int]) -> tuple[ModelVersion, ...]:
        quoted = name.replace("'", "''")
        found: list[Any] = []
        token = None
        while True:
            page = self.store.call(
                lambda client, token=token: client.search_model_versions(f"name = '{quoted}'", _PAGE, None, token)  # type: ignore[misc]
            )
            found.extend(page)
            token = page.token
            if not token:
                return tuple(sorted((_version(v, aliases) for v in found), key=lambda v: -v.version))


def _version(entity: Any, aliases: Mapping[str, int]) -> ModelVersion:
    number = int(entity.version)
    created = datetime.fromtimestamp(entity.creation_timestamp / 1000, UTC)
    own = tuple(sorted(alias for alias, version in aliases.items() if version == number))
    return ModelVersion(entity.name, number, entity.run_id or None, entity.description or "", created, dict(entity.tags), own)


def _check_name(name: str, alias: str = ACTIVE) -> str:
    """``name``, which can then stand in a path, a URL and a filter; raises ModelNotFound."""
    uid = ModelUid.parse(f"{name}@{alias}")
    if uid.name != name or ModelUid.parse(name).name != name:
        raise ModelNotFound(f"{name!r} is not a model name", uid=name)
    return name


def _ensure_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _facts(bundle: Bundle) -> dict[str, str]:
    facts = {f"{PREFIX}{key}": _text(key, value) for key, value in bundle.facts.items()}
    return {**facts, f"{PREFIX}features": bundle.features.digest}


def _text(key: str, value: Any) -> str:
    plain = mask(key, value)
    return (plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True))[:_LONGEST_TAG]


def _fact(text: str) -> Any:
    return json.loads(text) if text[:1] in ("{", "[") and len(text) < _LONGEST_TAG else text
