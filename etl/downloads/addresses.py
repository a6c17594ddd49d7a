"""Which network addresses are of the public Internet. All others are somebody's inside.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190); RFC 4291 for what is global unicast;
Azure's documentation of 168.63.129.16. The table is our own because the answers of ``ipaddress`` differ by Python's version.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4 = {
    "0/8": "this host",
    "10/8": "private",
    "100.64/10": "shared by a carrier's customers",
    "127/8": "loopback",
    "168.63.129.16/32": "a cloud's own channel",
    "169.254/16": "link-local, where clouds keep their metadata",
    "172.16/12": "private",
    "192.0.0/24": "reserved for protocols",
    "192.0.2/24": "for documentation",
    "192.88.99/24": "a 6to4 relay",
    "192.168/16": "private",
    "198.18/15": "for benchmarks",
    "198.51.100/24": "for documentation",
    "203.0.113/24": "for documentation",
    "224/4": "multicast",
    "240/4": "reserved",
}
_IPV6 = {
    "::/128": "this host",
    "::1/128": "loopback",
    "::ffff:0:0/96": "IPv4 mapped into IPv6",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "2001::/23": "reserved for protocols, as Teredo",
    "2001:db8::/32": "for documentation",
    "2002::/16": "6to4",
    "3fff::/20": "for documentation",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def _shortened(text: str) -> IPv4Network:
    """Read an IPv4 network whose last zeros are left out."""
    start, bits = text.split("/")
    return IPv4Network((".".join([*start.split("."), "0", "0", "0"][:4]), int(bits)))


_SPECIAL: tuple[tuple[Network, str], ...] = (
    *((_shortened(text), what) for text, what in _IPV4.items()),
    *((IPv6Network(text), what) for text, what in _IPV6.items()),
)


def special_use(address: Address) -> str | None:
    """What ``address`` is for when it is none of the public Internet; None when it is one."""
    for network, what in _SPECIAL:
        if address in network:
            return what
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not of the public Internet"
    return None


def parse_network(text: str) -> Network:
    """``a.b.c.d/n``, an IPv6 network or a single address; raises ValueError for another spelling and for bits past the length."""
    if not re.fullmatch(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is no network: write one as 10.1.0.0/16, or an address")
    return ip_network(text)
