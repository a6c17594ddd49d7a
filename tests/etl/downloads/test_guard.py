import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SourceDown, SourceError
from etl.downloads.addresses import special_use
from etl.downloads.guard import Guard, system_resolve
from etl.downloads.urls import parse_url

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]

INSIDE = {
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254", "fd20:ce::254"],
    "carrier": ["100.64.0.1", "100.100.100.200"],
    "link-local": ["169.254.169.254", "169.254.170.2", "fe80::1"],
    "cloud's own": ["168.63.129.16"],
    "reserved": ["192.0.0.192", "240.0.0.1", "255.255.255.255", "2001::1", "2001:2::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1"],
    "multicast": ["224.0.0.1", "239.1.1.1", "ff02::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b:1::1"],
    "6to4": ["192.88.99.1", "2002:7f00:1::"],
    "site-local": ["fec0::1"],
    "not of the public": ["::127.0.0.1", "100::1", "5f00::1", "4000::1"],
}


def answers(*addresses: str) -> "Guard":
    return Guard(resolve=lambda host, port: list(addresses))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet_pass(address: str):
    assert special_use(ip_address(address)) is None
    host = f"[{address}]" if ":" in address else address
    assert Guard().admit(parse_url(f"https://{host}/x")).addresses == (address,)
    assert answers(address).admit(parse_url("https://files.example/x")).addresses == (address,)


@pytest.mark.parametrize(("use", "address"), [(use, address) for use, many in INSIDE.items() for address in many])
def test_all_others_are_refused_written_or_resolved(use: str, address: str):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(SourceError, match=rf"{use}.*'allow' names its network or host") as caught:
        Guard().admit(parse_url(f"https://{host}/x"))
    assert "\n" not in caught.value.message
    for addresses in ([address], ["1.1.1.1", address], [address, "1.1.1.1"]):
        with pytest.raises(SourceError, match=r"the address of 'files\.example', is"):
            answers(*addresses).admit(parse_url("https://files.example/x"))


@settings(deadline=None)
@given(st.ip_addresses())
def test_nothing_passes_that_python_knows_to_be_private(address):
    if special_use(address) is None:
        assert address.is_global and not address.is_multicast


@pytest.mark.parametrize(
    ("allow", "host", "address"),
    [
        ("127.0.0.0/8", "127.0.0.1", "127.0.0.1"),
        ("10.1.0.0/16", "files.example", "10.1.2.3"),
        ("10.1.2.3", "files.example", "10.1.2.3"),
        ("::1", "[::1]", "::1"),
        ("fd00::/8", "files.example", "fd00::1"),
        ("files.example", "files.example", "10.1.2.3"),
        ("Files.Example.", "FILES.example.", "192.168.0.1"),
    ],
)
def test_what_the_configuration_names_passes(allow: str, host: str, address: str):
    guard = Guard.of([allow], lambda host, port: [address])
    admitted = guard.admit(parse_url(f"http://{host}/"))
    assert admitted.addresses == (address,) and admitted.named


@pytest.mark.parametrize(
    ("allow", "host", "address"),
    [
        ("10.1.0.0/16", "files.example", "10.2.0.1"),
        ("files.example", "other.example", "10.1.2.3"),
        ("example", "files.example", "10.1.2.3"),
        ("127.0.0.0/8", "files.example", "::ffff:127.0.0.1"),
        ("files.example", "files.example", "fe80::1%eth0"),
        ("fe80::/10", "files.example", "fe80::1%eth0"),
    ],
)
def test_it_names_nothing_beside(allow: str, host: str, address: str):
    with pytest.raises(SourceError, match="allow"):
        Guard.of([allow], lambda host, port: [address]).admit(parse_url(f"http://{host}/"))


@pytest.mark.parametrize(
    "wrong", ["10.0.0.1/8", "10.0.0.0/33", "0x7f000001", "127.1", "a b", "", "*", "fe80::1%eth0", "a/b", "ü..x"]
)
def test_what_is_no_network_and_no_host_is_an_error(wrong: str):
    with pytest.raises(ValueError):
        Guard.of([wrong])


@pytest.mark.parametrize(("number", "kind"), [(socket.EAI_AGAIN, SourceDown), (socket.EAI_NONAME, SourceError)])
def test_a_host_without_an_answer_is_one_line(number: int, kind: type[SourceError]):
    def fail(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(number, "why")

    with pytest.raises(kind, match=r"files\.example") as caught:
        Guard(resolve=fail).admit(parse_url("https://files.example/x?token=hidden"))
    assert type(caught.value) is kind and "hidden" not in caught.value.message
    with pytest.raises(SourceError, match="has no address"):
        answers().admit(parse_url("https://files.example/x"))


def test_this_machines_resolver_answers():
    assert set(system_resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(SourceError, match="loopback"):
        Guard().admit(parse_url("http://localhost/"))
