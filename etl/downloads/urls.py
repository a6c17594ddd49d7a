"""URLs read once and strictly: what was checked is what is connected to, because nothing reads the text again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

import idna

_PORTS = {"http": 80, "https": 443}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"^`{|}\ud800-\udfff]")
_AUTHORITY = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST = 8000
_LONGEST_NAME = 253
_LAST_PORT = 65535
_KEPT = "/?%:@!$&'()*+,;=~-._[]"


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Where a request goes. ``host`` is a lower-case ASCII name or an address, ``path`` begins with ``/`` and holds the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What may see the same credentials (RFC 6454)."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The whole URL. Its query may hold a secret: messages show the target itself."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def identity(self) -> str:
        """What two targets share only when they are the same; the query stands in it as a digest."""
        shown, _, query = self.url.partition("?")
        return f"{shown}?{hashlib.sha256(query.encode()).hexdigest()}" if query else shown

    def __repr__(self) -> str:
        return re.sub(r"\?.*", "?…", self.url)

    def join(self, location: str) -> Target:
        """Where a redirect to ``location`` leads; raises ValueError for what is no http or https URL."""
        _require_plain(location)
        return parse_url(urljoin(self.url, location))


def parse_url(text: str) -> Target:
    """The target of an http or https URL; the fragment is left off.

    Raises ValueError, which never shows the query, for another scheme, credentials, an odd spelling of an address, a zone, and
    characters that parsers disagree on.
    """
    _require_plain(text)
    scheme, _, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in _PORTS or not rest.startswith("//"):
        raise ValueError(f"the URL is of the scheme {scheme[:20]!r}: only http:// and https:// are fetched")
    try:
        split = urlsplit(text)
    except ValueError as error:
        raise ValueError("the URL's host cannot be read: write https://HOST:PORT/path") from error
    if "@" in split.netloc:
        raise ValueError("a URL holds no user and no password: name a secret by the key 'headers'")
    match = _AUTHORITY.fullmatch(split.netloc)
    if match is None:
        raise ValueError("the URL's host cannot be read: write https://HOST:PORT/path")
    host = _read_ipv6(match[1]) if match[1] is not None else read_host(match[2])
    port = int(match[3]) if match[3] else _PORTS[scheme]
    if not 0 < port <= _LAST_PORT:
        raise ValueError(f"the URL's port {port} is none: write one of 1 to {_LAST_PORT}")
    path = quote(split.path or "/", safe=_KEPT) + (f"?{quote(split.query, safe=_KEPT)}" if split.query else "")
    return Target(scheme, host, port, path)


def read_host(text: str) -> str:
    """A host's name in lower-case ASCII (IDNA 2008, UTS 46) without a last dot, or its IPv4 address; raises ValueError."""
    try:
        name = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"the host {text!r} is no domain name: {error}") from error
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except AddressValueError as error:
            raise ValueError(f"the host {text!r} is an odd spelling of an address: write it as 192.0.2.1") from error
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"the host {text[:80]!r} is no domain name and no address")
    return name


def _read_ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise ValueError(f"the host '[{text[:80]}]' is no IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError(f"the host '[{text[:80]}]' has a zone: no address of this network alone is fetched from")
    return address.compressed


def _require_plain(text: str) -> None:
    if len(text) > _LONGEST:
        raise ValueError(f"the URL is longer than {_LONGEST} characters")
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"the URL holds the character {found[0]!r}: percent-encode it")
