"""Collections of MongoDB as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from bson.errors import BSONError
from pydantic import Field, field_validator

from core.config import Strict
from core.errors import ConfigError
from core.settings import Settings
from etl.sources.collection import CollectionSource
from etl.sources.documents import Server, from_yaml, to_canonical
from etl.sources.passwords import named_secret

_CODE = {"$where", "$function", "$accumulator"}


class MongoConfig(Strict):
    """A collection of MongoDB, read on by a field that grows."""

    kind: Literal["mongo"]
    url: str
    """``mongodb://[USER@]HOST:PORT/NAME`` or ``mongodb+srv://…``, with options of the driver after ``?``; ``mongodb:///NAME`` (on
    the server of the settings' ``journal.url``)."""
    collection: str = Field(pattern=r"^[^$\x00]{1,120}$")
    watermark: str = Field(default="_id", pattern=r"^[^$.\x00][^$\x00]*$")
    """A field of ObjectIds, numbers or dates that grows."""
    filter: dict[str, Any] = {}
    """Which documents are read, as MongoDB writes it; values of other types as in Extended JSON: ``{$date: …}``."""
    fields: tuple[str, ...] | None = None
    """The fields to read, and no others; all when left out."""
    lag_s: float = Field(default=0.0, ge=0)
    """How late a document may come with a date or ObjectId of before: those of the last seconds wait for the next run."""
    password: str | None = None
    """The name of a password in the settings' ``sources.passwords``; the platform's own server needs none named."""

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        url = urlsplit(value)
        if url.password is not None:
            raise ValueError("a URL holds no password: name one by the key 'password', and set it in the settings' secrets")
        name = url.path.strip("/")
        if url.scheme not in ("mongodb", "mongodb+srv") or not name or "/" in name:
            raise ValueError("write mongodb://USER@HOST:PORT/NAME, or mongodb:///NAME for the server of the settings")
        return value

    @field_validator("filter")
    @classmethod
    def _selects(cls, value: dict[str, Any]) -> dict[str, Any]:
        if code := _CODE & _keys(value):
            raise ValueError(f"{min(code)!r} runs code on the server, which no source may")
        try:
            from_yaml(value)
        except (TypeError, ValueError, BSONError) as error:
            raise ValueError(f"is no filter: {error}") from error
        return value


def open_collection(config: MongoConfig, settings: Settings) -> CollectionSource:
    """The source that ``config`` describes. Nothing is opened yet; raises ConfigError for what the settings lack."""
    url, place, own = config.url, urlsplit(config.url), urlsplit(settings.journal.url or "")
    if not place.netloc:
        if not own.netloc:
            raise ConfigError(
                f"{url!r} names no server, and the settings have no 'journal.url': write mongodb://USER@HOST:PORT/NAME"
            )
        name = settings.sources.prefix + place.path.strip("/")
        place = own._replace(path=f"/{name}")
        url = place.geturl()
    password = settings.journal.password if place.netloc == own.netloc else None
    if config.password is not None:
        password = named_secret(settings, config.password, "password", f"the source of collection {config.collection!r}")
    server = Server(url, config.collection, None if password is None else password.get_secret_value())
    return CollectionSource(server, config.watermark, to_canonical(from_yaml(config.filter)), config.fields, config.lag_s)


def _keys(value: Any) -> set[str]:
    below = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {key for one in below for key in _keys(one)} | ({str(key) for key in value} if isinstance(value, dict) else set())
