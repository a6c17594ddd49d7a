"""``AIRFLOW_HOME``: options, keys, the password of ``admin`` and the database, made ready before anything starts."""

from __future__ import annotations

import base64
import configparser
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from core.errors import ConfigError, ServiceError
from core.settings import Settings
from jobs.keys import fresh, keep, write_private

Options = Mapping[str, Mapping[str, object]]
"""Airflow's, by section and key."""

FOLDER = Path("airflow")
"""``AIRFLOW_HOME`` below ours."""

USER = "admin"

_ENVIRONMENT = Path("airflow_dags/.venv")
_MIGRATE_S = 300
_QUIET = {
    # no log server runs (it would listen on every interface); the pages read the files, and need not say so each time
    "airflow.utils.log.file_task_handler": "CRITICAL",
    # each DAG of each look at the folder, every 30 s, makes two lines: 10 MB a day
    "airflow.dag_processing.manager.DagFileProcessorManager": "WARNING",
    "airflow.models.dag": "WARNING",
    "airflow.serialization.definitions.dag": "WARNING",
}
"""Loggers and their levels, since nobody cuts the services' logs."""

_KEYS = {"fernet_key": ("core", "fernet_key"), "jwt_secret": ("api_auth", "jwt_secret"), "secret_key": ("api", "secret_key")}
"""Keys of our settings and what Airflow calls them."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder, and what every process of Airflow is started with. Its API server listens on ``port``."""

    settings: Settings
    port: int

    @property
    def folder(self) -> Path:
        """``AIRFLOW_HOME``."""
        return self.settings.at_home(FOLDER)

    @property
    def url(self) -> str:
        """Where the pages and the REST interface are."""
        return f"http://{self.settings.airflow.host}:{self.port}"

    def prepare(self) -> None:
        """Make what is missing: the folder, the password, the options for people, the tables. Raises ServiceError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not password_file(self.settings).exists():
            write_private(password_file(self.settings), json.dumps({USER: fresh()}) + "\n")
        write_private(self.folder / "airflow.cfg", self._document())
        self._migrate()

    def environment(self) -> dict[str, str]:
        """Variables of every process. Options stand here too: those of another Airflow in the caller's have no say."""
        named = {
            f"AIRFLOW__{section}__{key}".upper(): str(value)
            for section, options in self._options().items()
            for key, value in options.items()
        }
        return {
            **named,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_CONFIG": str(self.folder / "airflow.cfg"),
            # tasks call `maas`: of this environment, with these settings
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "MAAS_ROOT": str(self.settings.root),
            "MAAS_PROFILE": self.settings.profile,
            "MAAS__HOME": str(self.settings.at_home(Path())),
            "PYTHONPATH": "",
            "SPT_NOENV": "1",  # else a process that sets its title overwrites the environment that it is known by
        }

    def _options(self) -> Options:
        airflow = self.settings.airflow
        return {
            "core": {
                "dags_folder": self.settings.at_root(airflow.dags),
                "load_examples": False,
                "executor": "LocalExecutor",
                "parallelism": airflow.parallelism,
                "execution_api_server_url": f"{self.url}/execution/",
                "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": password_file(self.settings),
                "simple_auth_manager_all_admins": False,
            },
            # seconds to wait for a lock: one file is shared by all processes
            "database": {"sql_alchemy_conn": f"sqlite:///{self.folder / 'airflow.db'}?timeout=30"},
            "api": {"host": airflow.host, "port": self.port, "base_url": self.url, "workers": 1, "expose_config": False},
            "logging": {
                "base_log_folder": self.folder / "logs",
                "namespace_levels": ",".join(f"{name}={level}" for name, level in _QUIET.items()),
            },
            "scheduler": {
                "enable_health_check": False,
                "orphaned_tasks_check_interval": 60,  # s; a killed scheduler's tasks start again after about that time
            },
            # a task outlives its API server, which is back within a minute, instead of being ended after three heartbeats;
            # what runs 5 minutes without one is given up by the scheduler
            "workers": {"execution_api_timeout": 30, "execution_api_retries": 20, "execution_api_retry_wait_max": 20},
            "dag_processor": {"parsing_processes": 1, "refresh_interval": 30, "print_stats_interval": 0},
        }

    def _document(self) -> str:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(
            {section: {key: str(value) for key, value in values.items()} for section, values in self._options().items()}
        )
        out = io.StringIO("# Written by `maas airflow up`, for Airflow's own command line; the services are told the same.\n")
        out.seek(0, io.SEEK_END)
        parser.write(out)
        return out.getvalue()

    def _migrate(self) -> None:
        """Bring the database to the installed version, which takes some seconds; once done it is remembered."""
        done = self.folder / f".migrated-{_version(self.settings)}"
        if done.exists():
            return
        command = [str(program(self.settings)), "db", "migrate"]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_MIGRATE_S,
            cwd=self.folder,
            env={**os.environ, **self.environment()},
        )
        if ended.returncode:
            said = (ended.stderr.strip() or ended.stdout.strip() or "nothing").splitlines()
            raise ServiceError(f"`airflow db migrate` failed (exit status {ended.returncode}): {said[-1][:300]!r}")
        done.touch()


def password_file(settings: Settings) -> Path:
    """Where the password of ``admin`` stands, ``{"admin": …}``; it is made at the first start and may be changed there."""
    return settings.at_home(FOLDER / "passwords.json")


def password(settings: Settings) -> str:
    """The password of ``admin``; raises ConfigError when its file says none."""
    file = password_file(settings)
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))[USER])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f'{file}: no password of {USER} ({error}): write {{"{USER}": …}} into it', file=str(file)) from error


def program(settings: Settings) -> Path:
    """The command of Airflow's own environment; raises ConfigError when it is missing."""
    found = settings.at_root(_ENVIRONMENT) / "bin" / "airflow"
    if not found.is_file():
        raise ConfigError(f"Airflow is not installed (there is no {found}): run `make setup-airflow`")
    return found


def with_keys(settings: Settings) -> Settings:
    """``settings`` with the keys that they lacked, which are kept in ``HOME/secrets.yaml``."""
    made = {"fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(), "jwt_secret": fresh(), "secret_key": fresh()}
    return keep(settings, {"airflow": {key: value for key, value in made.items() if getattr(settings.airflow, key) is None}})


def secret_environment(settings: Settings) -> dict[str, str]:
    """The keys, as Airflow wants them in its environment."""
    return {
        f"AIRFLOW__{section}__{name}".upper(): _text(getattr(settings.airflow, key)) for key, (section, name) in _KEYS.items()
    }


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _version(settings: Settings) -> str:
    (found,) = settings.at_root(_ENVIRONMENT).glob("lib/python3.*/site-packages/apache_airflow_core-*.dist-info")
    return found.name.removeprefix("apache_airflow_core-").removesuffix(".dist-info")
