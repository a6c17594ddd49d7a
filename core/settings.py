"""Settings: defaults in code, ``conf/base``, ``conf/<profile>``, ``secrets.yaml`` in the home folder, ``MAAS__SECTION__KEY``.

The later wins. Secrets stand in ``secrets.yaml`` (mode 0600, same keys) or in the environment, and are shown as asterisks.

They are loaded once, by ``jobs``, and handed down by section. They are frozen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator

from core.config import Strict, from_environment, merge, read_yaml, validate
from core.errors import ConfigError

_PREFIX = "MAAS__"
_LOOPBACK = "127.0.0.1"


def _require_no_password(url: str) -> str:
    if urlsplit(url).password is not None:
        raise ValueError("a URL holds no password: set the key 'password' beside it, from a file or the environment")
    return url


_Url = Annotated[str, AfterValidator(_require_no_password)]


class SparkSettings(Strict):
    """How sessions are built."""

    master: str = "local[2]"
    """``local[N]``, ``yarn`` (client mode), ``spark://HOST:PORT`` or ``k8s://https://HOST:PORT``.

    The keys down to ``start_timeout_s`` are for clusters."""
    executors: int = Field(default=2, ge=1)
    executor_cores: int = Field(default=1, ge=1)
    executor_memory: str = "1g"
    """Heap of an executor's JVM."""
    executor_overhead: str = "512m"
    """What an executor may use besides: Python workers (scoring: 300 MB a core, a training rank: 600 MB), buffers."""
    host: str = _LOOPBACK
    """The address of this machine at which executors reach the driver. With a loopback address executors bind loopback too."""
    environment: Literal["installed", "packed"] = "installed"
    """``installed``: nodes have this Python environment and these jars at the same paths; ``packed``: both are shipped."""
    start_timeout_s: int = Field(default=120, ge=1)
    """How long the cluster may take to give the first executor, from the start of the session."""
    driver_memory: str = "2g"
    shuffle_partitions: int = Field(default=2, ge=1)
    jars: Path = Path("jars/spark")
    """Folder of the jars that every session loads."""
    options: dict[str, str] = {}


class LakeSettings(Strict):
    """Where tables lie."""

    root: str = "lake"
    """A folder below ``home``, or ``hdfs://HOST:PORT/folder``."""


class HdfsSettings(Strict):
    """How HDFS is reached, where a URL begins with ``hdfs://``."""

    web: tuple[str, ...] = ()
    """WebHDFS addresses of the NameNodes, ``http://HOST:PORT``; the first that answers is used. One text: commas between."""
    user: str = "maas"
    kerberos: bool = False
    """Whether WebHDFS is asked with a ticket (``kinit`` or a keytab makes one) instead of a user's name."""
    conf: Path | None = None
    """Hadoop's configuration folder (``core-site.xml`` …), below ``home`` or absolute; for Spark, YARN and native readers."""

    @field_validator("web", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value


class S3Settings(Strict):
    """The object store, where a URL begins with ``s3://``. Its keys are secrets: ``access_key``, ``secret_key``."""

    endpoint: str | None = None
    """``http://HOST:PORT``; None: Amazon's own."""
    region: str = "us-east-1"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None


class DatabaseSettings(Strict):
    """The configuration database: pipelines and rules as they were run, and the run journal where no other place is named."""

    url: _Url = "sqlite:///maas.db"
    """An SQLAlchemy URL without a password: ``sqlite:///FILE`` (below ``home``) or ``mysql+pymysql://USER@HOST:PORT/NAME``."""
    password: SecretStr | None = None


class JournalSettings(Strict):
    """The run journal: which step of which pipeline ran, when, and how it ended."""

    url: _Url | None = None
    """``mongodb://HOST:PORT/NAME``; None: in the configuration database."""
    password: SecretStr | None = None


class KafkaSettings(Strict):
    """The message queue."""

    servers: str = ""
    """``HOST:PORT,HOST:PORT``; empty: sources of kind ``kafka`` name their own."""


class SourcesSettings(Strict):
    """Where pipelines find their sources when they do not name the place whole, and the passwords of those that ask for one."""

    root: str = ""
    """What a source's ``folder`` lies below: a folder below ``home`` (default: ``home`` itself) or ``hdfs://HOST:PORT/folder``."""
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,60}$")
    """Put before the names of databases and topics on the platform's own servers, so that two platforms may share them."""
    passwords: dict[str, SecretStr] = {}
    """By the name that a source's key ``password`` gives, or one of its ``headers``."""


class RulesSettings(Strict):
    """Secrets of rules."""

    keys: dict[str, Annotated[SecretStr, Field(min_length=16)]] = {}
    """By the name that a field's ``mask_key`` gives, ``default``, the key of its hash: random, as of `openssl rand -hex 32`."""


class MlflowSettings(Strict):
    """The tracking store, the place of artifacts, and the server's address."""

    database: str = "mlflow/mlflow.db"
    """A SQLite file below ``home``, or ``mysql+pymysql://USER@HOST:PORT/NAME`` (no password in it)."""
    password: SecretStr | None = None
    artifacts: str = "mlflow/artifacts"
    """A folder below ``home``, or ``s3://BUCKET/prefix``."""
    host: str = _LOOPBACK
    port: int = Field(default=5000, ge=0, le=65535)


class TrainingSettings(Strict):
    """How a run is spread over processes."""

    launcher: Literal["host", "spark"] = "host"
    """``host``: processes of this machine; ``spark``: tasks of the session's executors (``horovod.spark.run``)."""
    processes: int = Field(default=2, ge=1)
    threads: int = Field(default=1, ge=1)
    folder: Path = Path("training")
    shared: str | None = None
    """With ``launcher: spark``, where ranks leave checkpoints and results: a URL, or a folder that all nodes see.
    None: ``training`` beside the lake."""
    interface: str = "lo"
    """With ``launcher: spark``, the network interface that ranks talk over; a real cluster names its nodes' own, as ``eth0``."""
    start_timeout_s: int = Field(default=120, ge=1)


class ServingSettings(Strict):
    """The model server."""

    host: str = _LOOPBACK
    port: int = Field(default=8080, ge=0, le=65535)
    bundles: Path = Path("bundles")
    max_body_mb: int = Field(default=64, ge=1)
    max_rows: int = Field(default=100_000, ge=1)
    threads: int = Field(default=1, ge=1)
    drain_s: float = Field(default=10.0, gt=0)


class AirflowSettings(Strict):
    """Airflow's services on this machine. Their keys are secrets: ``fernet_key``, ``jwt_secret``, ``secret_key``."""

    host: str = _LOOPBACK
    port: int = Field(default=8085, ge=0, le=65535)
    """Of the pages and the REST interface; nothing else listens."""
    dags: Path = Path("airflow_dags/dags")
    """Folder of DAG files, beside ``conf`` or absolute."""
    parallelism: int = Field(default=2, ge=1)
    """How many tasks run at once."""
    triggerer: bool = False
    """Whether deferrable tasks and asynchronous callbacks can run; the platform's own DAGs have none."""
    fernet_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    secret_key: SecretStr | None = None


class LogSettings(Strict):
    """JSON-line logs: one file a process, all in one folder."""

    folder: Path = Path("logs")
    level: str = "INFO"

    @field_validator("level")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError(f"{value!r} is none of DEBUG, INFO, WARNING, ERROR")
        return value


class Settings(Strict):
    """All sections. Relative paths lie under ``home``, the one folder that the platform writes to."""

    profile: str = "local"
    root: Path
    """The folder that holds ``conf``."""
    home: Path = Path("var")
    lake: LakeSettings = LakeSettings()
    hdfs: HdfsSettings = HdfsSettings()
    s3: S3Settings = S3Settings()
    database: DatabaseSettings = DatabaseSettings()
    journal: JournalSettings = JournalSettings()
    kafka: KafkaSettings = KafkaSettings()
    sources: SourcesSettings = SourcesSettings()
    rules: RulesSettings = RulesSettings()
    spark: SparkSettings = SparkSettings()
    mlflow: MlflowSettings = MlflowSettings()
    training: TrainingSettings = TrainingSettings()
    serving: ServingSettings = ServingSettings()
    airflow: AirflowSettings = AirflowSettings()
    logs: LogSettings = LogSettings()

    def at_home(self, path: Path) -> Path:
        """``path`` under ``home``, absolute."""
        return (self.root / self.home / path).absolute()

    def locate(self, place: str) -> str:
        """``place`` itself when it is a URL, else the absolute path of that folder below ``home``."""
        return place if "://" in place else str(self.at_home(Path(place)))

    def at_root(self, path: Path) -> Path:
        """``path`` beside ``conf``, absolute: what comes with the project rather than what a run writes."""
        return (self.root / path).absolute()


def load_settings(root: Path | None = None, profile: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings for ``profile`` (``MAAS_PROFILE``, else ``local``) under ``root`` (``MAAS_ROOT``, else where ``conf`` is).

    Raises ConfigError naming the file or variable, the key, and the nearest valid key.
    """
    environment = os.environ if environment is None else environment
    root = (root or _find_root(environment)).absolute()
    profile = profile or environment.get("MAAS_PROFILE", "local")
    conf = root / "conf"
    if not (conf / profile).is_dir():
        known = sorted(p.name for p in conf.glob("*") if (p / "settings.yaml").is_file() and p.name != "base")
        raise ConfigError(f"profile {profile!r} has no folder in {conf}; there are: {', '.join(known) or 'none'}")
    merged: dict[str, Any] = {"root": root, "profile": profile}
    for folder in (conf / "base", conf / profile):
        file = folder / "settings.yaml"
        if file.is_file():
            document = read_yaml(file)
            validate({"root": root, **document}, Settings, str(file))  # name the file at fault before merging
            merge(merged, document)
    overrides = from_environment(environment, _PREFIX)
    validate({"root": root, **overrides}, Settings, f"environment ({_PREFIX}…)")
    home = overrides.get("home", merged.get("home", "var"))
    merge(merged, _read_secrets(root / home / "secrets.yaml", root))
    merge(merged, overrides)
    return validate(merged, Settings, "settings")


def _read_secrets(file: Path, root: Path) -> dict[str, Any]:
    """Passwords and keys, which stand in no other file: readable by their owner only."""
    if not file.is_file():
        return {}
    facts = file.stat()
    if not is_private(facts.st_mode, facts.st_uid, os.geteuid()):
        raise ConfigError(f"{file}: others may read the secrets in it: run `chmod 600 {file}`", file=str(file))
    document = read_yaml(file)
    validate({"root": root, **document}, Settings, str(file))
    return document


def is_private(mode: int, owner: int, user: int) -> bool:
    """Whether a file of secrets is for ``user`` alone: no one else reads it, or it is root's and read by its group.

    PostgreSQL takes keys by the same rule. Kubernetes mounts a Secret as root's, and ``fsGroup`` adds the group's right to read
    whatever the mode asked for (github.com/kubernetes/kubernetes/issues/57923).
    """
    return not mode & (0o037 if owner == 0 != user else 0o077)


def _find_root(environment: Mapping[str, str]) -> Path:
    if named := environment.get("MAAS_ROOT"):
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "conf" / "base").is_dir():
            return folder
    raise ConfigError(f"no folder conf/base in {here} or above: run from the project, or set MAAS_ROOT")
