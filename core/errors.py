"""Every error that the platform raises on purpose.

::

    MaasError
    ├── ConfigError          a file, key or option is wrong: its author must act
    │   └── RuleError        a rule does not compile, or would be too slow
    ├── SourceError          a source is missing, unreachable or changed under the reader
    │   └── SourceDown       the server that holds it does not answer: wait or start it
    ├── StorageError         a place cannot be read or written
    │   ├── DiskFull         no space left: free some, run again
    │   ├── StorageDown      the servers that hold it do not answer: wait or start them
    │   └── CorruptFile      a file does not hold the bytes that were written
    ├── TableError           a lake table is missing, empty or of a form we do not take
    ├── TrainingError        a run cannot start, or ended without a model
    │   ├── RankFailed       one process of a distributed run died
    │   └── NotTrained       the newest dataset has no finished training yet
    ├── PublishRefused       a model did not pass its gate
    ├── ModelError           a model or version is unknown, or its bundle is damaged
    │   └── ModelNotFound
    ├── InputError           a request or batch does not fit the model's signature
    └── ServiceError         a process of ours cannot start or does not answer
        └── PortInUse

A message says what was wrong, where, and what to do next. ``code`` is stable and is what clients switch on; ``retryable``
tells whether the same call may succeed later with nothing changed by its caller; ``facts`` hold the particulars.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MaasError(Exception):
    """The root of the tree. Instances survive pickling, so that a Spark worker's error reaches the driver whole."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[MaasError], message: str, facts: dict[str, Any]) -> MaasError:
    return kind(message, **facts)


class ConfigError(MaasError):
    """A configuration file, key, option or argument is wrong."""

    code = "config"


class RuleError(ConfigError):
    """A rule does not compile, or could run without end."""

    code = "rule"


class SourceError(MaasError):
    """A source is missing, unreachable, or changed while it was read."""

    code = "source"
    retryable = True


class SourceDown(SourceError):
    """The server that holds a source does not answer, or went away while it was read."""

    code = "source_down"


class StorageError(MaasError):
    """A place cannot be read or written."""

    code = "storage"


class DiskFull(StorageError):
    """No space is left on the device."""

    code = "disk_full"
    retryable = True


class StorageDown(StorageError):
    """The servers that hold a place do not answer, or are not ready yet."""

    code = "storage_down"
    retryable = True


class CorruptFile(StorageError):
    """A file does not hold the bytes that were written."""

    code = "corrupt_file"


class TableError(MaasError):
    """A lake table is missing, empty, or of a form that is not taken."""

    code = "table"


class TrainingError(MaasError):
    """A run cannot start, or ended without a model."""

    code = "training"


class RankFailed(TrainingError):
    """One process of a distributed run died, and the others were ended."""

    code = "rank_failed"
    retryable = True


class NotTrained(TrainingError):
    """The newest dataset has no finished training yet."""

    code = "not_trained"


class PublishRefused(MaasError):
    """A model did not pass its gate and was not registered."""

    code = "publish_refused"


class ModelError(MaasError):
    """A model version cannot be used."""

    code = "model"


class ModelNotFound(ModelError):
    """No such model, alias or version."""

    code = "model_not_found"


class InputError(MaasError):
    """Input does not fit the model's signature."""

    code = "input"


class ServiceError(MaasError):
    """A process of the platform cannot start or does not answer."""

    code = "service"


class PortInUse(ServiceError):
    """Another process listens on the port."""

    code = "port_in_use"
