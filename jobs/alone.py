"""One service in the foreground, as containers and other supervisors than ours want it: MLflow's server, the bundles' copier."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NoReturn

from core.errors import CorruptFile, MaasError, StorageError
from core.registry.bundles import BundleCache
from core.registry.store import Store
from core.settings import Settings

READY = ".ready"
"""A file in the folder of bundles: every version that an alias names was copied once, so a server may start."""

Say = Callable[[str], None]


def serve_mlflow(settings: Settings) -> NoReturn:
    """Replace this process by MLflow's server over the store; never returns."""
    store, mlflow = Store.of(settings), settings.mlflow
    command = store.server_command(mlflow.host, mlflow.port)
    environment = {**os.environ, **store.server_environment(), **store.secret_environment()}
    os.execve(command[0], command, environment)  # noqa: S606 — our own interpreter, no shell


def copy_bundles(settings: Settings, say: Say) -> None:
    """Bring the folder of bundles up to the registry, once.

    A version whose files are damaged or gone is named to ``say`` and left out. Raises StorageError when one cannot be had now:
    a server that started without it would answer 404 for a model that there is.
    """
    cache = BundleCache.open(settings)
    refused = cache.sync().refused
    for error in refused:
        say(f"not served: {error.message}")
    for error in refused:
        if isinstance(error, StorageError) and not isinstance(error, CorruptFile):
            raise error
    (cache.folder / READY).touch()


def follow_registry(settings: Settings, every_s: float, say: Say) -> NoReturn:
    """Copy bundles now and every ``every_s`` seconds, for ever; a server that runs on the folder takes changes by itself.

    Raises what the first copy raises. Later the registry may be gone for any time: what is here goes on being served.
    """
    copy_bundles(settings, say)
    pause = threading.Event()
    while True:
        pause.wait(every_s)
        try:
            copy_bundles(settings, say)
        except MaasError as error:
            say(f"the bundles stay as they are: {error.message}")
