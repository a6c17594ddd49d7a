"""The guard against server-side request forgery: which addresses a host may stand for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from core.errors import SourceDown, SourceError
from etl.downloads.addresses import Network, parse_network, special_use
from etl.downloads.urls import Target, read_host

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host; raises ``socket.gaierror``."""


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver gives, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Admitted:
    """Addresses that a connection may be made to, and whether the configuration names them all, or their host."""

    addresses: tuple[str, ...]
    named: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """Public addresses pass; others only when ``networks`` hold them or ``hosts`` has the host's name."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    resolve: Resolve = system_resolve

    @classmethod
    def of(cls, allow: Iterable[str], resolve: Resolve = system_resolve) -> Self:
        """A guard that lets ``allow`` through as well: networks, addresses and hosts. Raises ValueError for what is none."""
        networks, hosts = [], set()
        for text in allow:
            if "/" in text or ":" in text or text.replace(".", "").isdecimal():
                networks.append(parse_network(text))
            else:
                hosts.add(read_host(text))
        return cls(tuple(networks), frozenset(hosts), resolve)

    def admit(self, target: Target) -> Admitted:
        """The addresses of the target's host, asked for once: connect to these, never to the name.

        Raises SourceError when one of them is not of the public Internet and not named, SourceDown when no resolver answers.
        """
        addresses = self._addresses(target)
        named = [self._is_named(target, address) for address in addresses]
        for address, known in zip(addresses, named, strict=True):
            if not known:
                _require_public(target, address)
        return Admitted(addresses, all(named))

    def _addresses(self, target: Target) -> tuple[str, ...]:
        try:
            return (str(ip_address(target.host)),)
        except ValueError:
            pass  # a name
        try:
            found = tuple(self.resolve(target.host, target.port))
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise SourceDown(f"{target}: no name server answers for {target.host!r}: see that the network is up") from error
            raise SourceError(f"{target}: no such host: {target.host!r}: check the URL") from error
        if not found:
            raise SourceError(f"{target}: the host {target.host!r} has no address: check the URL")
        return found

    def _is_named(self, target: Target, address: str) -> bool:
        if "%" in address:
            return False
        return target.host in self.hosts or any(ip_address(address) in network for network in self.networks)


def _require_public(target: Target, address: str) -> None:
    use = "of one link alone" if "%" in address else special_use(ip_address(address))
    if use is not None:
        at = "" if target.host == address else f", the address of {target.host!r},"
        raise SourceError(
            f"{target}: {address}{at} is {use}: it is fetched from only when the source's key 'allow' names its network or host",
            address=address,
        )
