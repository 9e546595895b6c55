"""The URL door: real servers with nasty routes."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpcore
import pytest

from tests.unit.url_world import BODY, Server, policy, refused, serving
from workbench.media import urls
from workbench.media.urls import FetchLimits, fetch_image

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


# --- What works --------------------------------------------------------------------------------


async def test_an_image_is_fetched(server: Server) -> None:
    url = server.page("/fox.png")
    assert await fetch_image(url + "?a=1&b=%20#frag", policy=policy(server)) == BODY
    request = server.requests[0]
    assert request.startswith("GET /fox.png?a=1&b=%20 HTTP/1.1\r\n")
    assert f"Host: images.test:{server.port}\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


async def test_spaces_around_a_pasted_address_are_ignored(server: Server) -> None:
    assert await fetch_image(f"  {server.page('/a')}\n", policy=policy(server)) == BODY


async def test_letters_of_other_scripts_in_the_path_are_escaped(server: Server) -> None:
    server.page("/%E7%8B%90.png")
    url = f"http://images.test:{server.port}/狐.png"
    assert await fetch_image(url, policy=policy(server)) == BODY


async def test_bodies_without_a_length_end_with_the_connection(server: Server) -> None:
    url = server.raw("/old", b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
    assert await fetch_image(url, policy=policy(server)) == BODY
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert await fetch_image(server.raw("/chunked", chunked), policy=policy(server)) == b"abc"


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
async def test_up_to_three_redirects_are_followed(server: Server, status: str) -> None:
    server.page("/d")
    server.redirect("/c", "d", status)
    server.redirect("/b", "/c", status)
    url = server.redirect("/a", f"http://images.test:{server.port}/b", status)
    assert await fetch_image(url, policy=policy(server)) == BODY


# --- B30, B36: what is not fetched at all ----------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "gopher://images.test/",
        "ftp://images.test/x.png",
        "data:image/png;base64," + "A" * 100,
        "data:image/png;base64," + "A" * 100_000,
        "javascript:alert(1)",
        "images.test/x.png",
        "//images.test/x.png",
        "/etc/passwd",
        "",
        "http:",
        "http:/images.test",
        "http:images.test",
        "http://",
        "http:///x.png",
        "unix:///var/run/docker.sock",
        "http+unix://x/y",
        "jar:http://images.test!/",
        "http://images.test/" + "x" * 3_000,
    ],
)
async def test_only_whole_web_addresses_are_fetched(url: str) -> None:
    await refused(url)


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 8080, 8888, 11434, 65535, 65536, 99999, 999999])
async def test_only_the_ports_of_the_web_are_fetched(port: int) -> None:
    await refused(f"http://images.test:{port}/")
    await refused(f"https://1.1.1.1:{port}/")


# --- B33: redirects --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2:{secret}/",
        "http://evil.test:{secret}/",
        "//127.0.0.2:{secret}/",
        "http://127.2:{secret}/",
        "http://images.test@127.0.0.2:{secret}/",
        "http://images.test\\@127.0.0.2:{secret}/",
        "http:\\\\127.0.0.2:{secret}/",
        "file:///etc/passwd",
        "gopher://127.0.0.2:{secret}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://localhost/",
        "data:image/png,x",
        "",
    ],
)
async def test_a_redirect_to_the_inside_is_not_followed(
    server: Server, secret: Server, to: str
) -> None:
    url = server.redirect("/", to.format(secret=secret.port))
    await refused(url, server, secret)
    assert secret.requests == []


async def test_a_fourth_redirect_is_refused(server: Server) -> None:
    url = server.redirect("/loop", "/loop")
    await refused(url, server)
    assert len(server.requests) == 4


async def test_no_redirect_leads_from_https_to_http(server: Server) -> None:
    target = urls._parse("https://images.test/", policy())
    answers = iter(["http://images.test/x"])

    async def get(*_: Any) -> str:
        return next(answers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urls, "_get", get)
        assert "https to http" in await refused(target.url, server)


# --- B35: texts that two programs read in two ways -------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://ok\\@127.0.0.1/",
        "http://ok#@h/",
        "http://a@127.0.0.1@ok/",
        "http://user:pw@images.test/",
        "http://@images.test/",
        "http://127。0。0。1/",
        "http://１２７.0.0.1/",
        "http://lo\u00adcalhost/",
        "http://images.test\t.evil/",
        "http://ima\nges.test/",
        "http://images.test/a b",
        "http://images.test/\r\nHost: evil",
        "http://images.test\0.evil/",
        "http://%31%32%37.0.0.1/",
        "http://[::1/",
        "http://::1/",
        "http://[::1%25lo]/",
        "http://[127.0.0.1]/",
        "http://images.test:80:80/",
        "http://images.test:+80/",
        "http://images.test:８０/",
        "http://-x.test/",
        "http://a..b/",
        "http://.images.test/",
        "http://images..test/",
        "http://xn--/",
        "http://" + "a" * 64 + ".test/",
        "http://" + "a." * 200 + "test/",
        "http://exa{mple}.test/",
        "http://0x/",
        "http://1.2.3.4.5/",
        "http://256.256.256.256/",
        "http://images.test;@evil/",
    ],
)
async def test_tricks_of_spelling_lead_nowhere(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("connected")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", never)
    await refused(url)


# --- B37: servers that never stop, lie or explode ---------------------------------------------

SMALL = FetchLimits(max_bytes=100_000, total_s=20)
QUICK = FetchLimits(max_bytes=100_000, total_s=0.4)


async def test_a_declared_length_over_the_cap_is_not_read(server: Server) -> None:
    url = server.raw("/", b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", pause_s=0.05)
    assert "larger than" in await refused(url, server, limits=SMALL)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_an_endless_body_ends_at_the_cap(server: Server, head: bytes) -> None:
    piece = b"4000\r\n" + bytes(0x4000) + b"\r\n" if b"chunked" in head else bytes(0x4000)

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(head)
        for _ in range(1_000):
            writer.write(piece)
            await writer.drain()

    server.routes["/"] = endless
    url = f"http://images.test:{server.port}/"
    if b"Length" in head:
        assert len(await fetch_image(url, limits=SMALL, policy=policy(server))) == 100
    else:
        assert "larger than" in await refused(url, server, limits=SMALL)


async def test_a_compressed_bomb_is_not_unpacked(server: Server) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    for coding in ("gzip", "GZIP", "deflate", "br", "gzip, gzip", "x-unknown"):
        url = server.page("/", body=bomb, Content_Encoding=coding)
        assert "compressed" in await refused(url, server)
    # Undeclared, it is a file like any other: the image door names it.
    assert await fetch_image(server.page("/"), policy=policy(server))


@pytest.mark.parametrize(
    "pieces",
    [
        [b"H", b"T"],
        [b"HTTP/1.1 200 OK\r\nX: ", b"a"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a"],
    ],
    ids=["status", "headers", "body"],
)
async def test_a_slow_drip_ends_with_the_total_deadline(
    server: Server, pieces: list[bytes]
) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(pieces[0])
        while True:
            writer.write(pieces[1])
            await writer.drain()
            await asyncio.sleep(0.02)

    server.routes["/"] = drip
    message = await refused(f"http://images.test:{server.port}/", server, limits=QUICK)
    assert "0.4 seconds" in message or "nonsense" in message


async def test_redirects_do_not_buy_more_time(server: Server) -> None:
    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        await asyncio.sleep(0.25)
        writer.write(b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    server.routes["/"] = slow
    message = await refused(f"http://images.test:{server.port}/", server, limits=QUICK)
    assert "0.4 seconds" in message


async def test_a_resolver_that_hangs_ends_with_the_deadline(server: Server) -> None:
    async def hanging(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    slow = policy(server, resolve=hanging)
    assert "seconds" in await refused("http://images.test/", limits=QUICK, policy=slow)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500_000 + b"\r\n\r\n",
    ],
    ids=[
        "nothing",
        "no http",
        "short",
        "negative",
        "twice",
        "chunk",
        "many headers",
        "long header",
    ],
)
async def test_nonsense_of_a_server_is_an_error_with_a_sentence(
    server: Server, answer: bytes
) -> None:
    await refused(server.raw("/", answer), server)


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "401 No", "206 Partial", "302 F"])
async def test_anything_but_an_image_is_told_by_its_status(server: Server, status: str) -> None:
    url = server.page("/", status)
    message = await refused(f"{url}?signature=SECRET", server)
    assert status[:3] in message
    assert "SECRET" not in message


async def test_a_server_that_is_not_there(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = Server(port=port)
    message = await refused(f"http://images.test:{port}/?k=SECRET", gone)
    assert "cannot be reached" in message
    assert "SECRET" not in message
    assert "unknown" in await refused("http://nobody.test/")


# --- B38: the environment has no say ---------------------------------------------------------


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    server: Server, secret: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = f"http://127.0.0.2:{secret.port}"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    (tmp_path / ".netrc").write_text("machine images.test login CANARY password CANARY\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert await fetch_image(server.page("/"), policy=policy(server)) == BODY
    assert secret.requests == []
    assert "uthorization" not in server.requests[0]


async def test_cookies_are_neither_kept_nor_sent(server: Server) -> None:
    server.page("/b")
    url = server.page("/a", "302 F", b"", Location="/b", Set_Cookie="id=CANARY")
    assert await fetch_image(url, policy=policy(server)) == BODY
    assert "ookie" not in server.requests[1]


@pytest.mark.skipif(
    shutil.which("openssl") is None,
    reason="Needs the program openssl, which makes a certificate: install the package openssl.",
)
async def test_tls_checks_the_name_though_the_address_is_pinned(
    server: Server, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=images.test", "-addext", "subjectAltName=DNS:images.test"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _, name, __: asked.append(name)
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.page("/")
    try:
        trusting = ssl.create_default_context(cafile=str(certificate))
        reach = policy(Server(port), tls=trusting)
        assert await fetch_image(f"https://images.test:{port}/", policy=reach) == BODY
        assert asked == ["images.test"]

        async def other(host: str, number: int) -> list[str]:
            return ["127.0.0.1"]

        # Another name on the same server, and a certificate that nobody vouches for.
        strange = policy(Server(port), tls=trusting, resolve=other)
        await refused(f"https://other.test:{port}/", policy=strange)
        await refused(f"https://images.test:{port}/", policy=policy(Server(port)))
    finally:
        listening.close()
    assert len(server.requests) == 1
