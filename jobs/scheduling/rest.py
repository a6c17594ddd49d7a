"""Airflow's REST interface (``/docs`` of a running API server describes it), asked as ``admin``."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.errors import ServiceError
from jobs.scheduling.home import USER

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Rest:
    """The interface at ``url``; an answer that is an error, and no answer, are raised as ServiceError."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def login(cls, url: str, password: str) -> Rest:
        """With the password of ``admin``."""
        return cls(url, _ask(url, "POST", "/auth/token", {"username": USER, "password": password})["access_token"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's document; ``path`` lies below ``/api/v2``."""
        return _ask(self.url, method, f"/api/v2{path}", body, {"Authorization": f"Bearer {self.token}"})

    def put(self, path: str, entities: Sequence[Mapping[str, Any]]) -> None:
        """Make these, or replace those of the same name."""
        action = {"action": "create", "entities": [*entities], "action_on_existence": "overwrite"}
        done = self.ask("PATCH", path, {"actions": [action]})["create"]
        if done["errors"]:
            raise ServiceError(f"{self.url}: Airflow refuses {path[1:]}: {done['errors']}")


def _ask(url: str, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(
            method, path, text, {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServiceError(f"{url}: Airflow does not answer {method} {path}: {error}: see `maas airflow status`") from error
    finally:
        connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        raise ServiceError(
            f"{url}: Airflow answers {method} {path} with {answer.status}: {said[:300].decode(errors='replace')}",
            status=answer.status,
        )
    return json.loads(said) if said else None
