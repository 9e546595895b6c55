"""The URL door: addresses that lead where nobody may go."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import pytest

from tests.unit.url_world import BODY, Server, policy, refused, serving
from workbench.media.urls import Policy, fetch_image, is_public

pytestmark = pytest.mark.req("CFG-6d")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@pytest.fixture
async def secret() -> AsyncIterator[Server]:
    """A service of the machine's own that nobody may reach, on another loopback address."""
    async with serving("127.0.0.2") as made:
        made.page("/")
        yield made


# --- B31, B32: addresses of the inside -------------------------------------------------------

INSIDE = [
    "127.0.0.1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "x.localhost",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.1.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.8",
    "192.0.0.192",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[100::1]",
    "[fec0::1]",
    "[fe80::1]",
    "[ff02::1]",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "240.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "metadata.google.internal",
    "printer.local",
    "router.lan",
]


@pytest.mark.parametrize("host", INSIDE)
async def test_addresses_of_the_inside_are_refused(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("connected")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", never)
    # The real policy, and a resolver as lenient as the system's.
    for scheme in ("http", "https"):
        await refused(f"{scheme}://{host}/latest/meta-data", policy=Policy(resolve=as_inet_aton))


async def as_inet_aton(host: str, port: int) -> list[str]:
    try:
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        return ["127.0.0.1"]


@pytest.mark.parametrize(
    "text", [host.strip("[]") for host in INSIDE if host.strip("[]")[-1:].isalnum()]
)
def test_the_lists_know_every_inside_address(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return  # no address by Python's reading; the name rules refuse it
    assert not is_public(address)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_the_lists_let_the_internet_through(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_addresses_with_a_scope_are_not_public() -> None:
    assert not is_public(ipaddress.ip_address("2606:4700::1111%eth0"))


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["10.0.0.1", "93.184.216.34"],
        ["::ffff:169.254.169.254"],
        ["fe80::1%eth0"],
        ["nonsense"],
        [],
    ],
)
async def test_one_inside_address_of_a_name_spoils_the_name(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    async def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("connected")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", never)
    await refused("https://rebind.example/", policy=Policy(resolve=resolve))


async def test_a_name_is_looked_up_once_and_that_address_is_used(server: Server) -> None:
    calls: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"] if len(calls) == 1 else ["127.0.0.2"]

    url = server.page("/a")
    assert await fetch_image(url, policy=policy(server, resolve=rebinding)) == BODY
    assert calls == ["images.test"]


async def test_the_socket_has_the_last_word(
    server: Server, secret: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if a connection ended elsewhere than asked for, nothing would be sent there."""
    original = httpcore.AnyIOBackend.connect_tcp

    async def astray(self: Any, host: str, port: int, **options: Any) -> Any:
        return await original(self, "127.0.0.2", secret.port, **options)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", astray)
    await refused(server.page("/"), server)
    assert secret.requests == []


async def test_an_address_that_does_not_answer_gives_way_to_the_next(server: Server) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]

    lenient = policy(server, resolve=two, allows=lambda address: True)
    assert await fetch_image(server.page("/a"), policy=lenient) == BODY
