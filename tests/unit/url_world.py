"""Web servers with nasty routes, and a door that takes them for the internet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from workbench.errors import InvalidRequest
from workbench.media import urls
from workbench.media.urls import FetchLimits, Policy, fetch_image, is_public

Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
BODY = b"\x89PNG" + bytes(range(256)) * 40


@dataclass
class Server:
    """An HTTP server that writes whatever bytes a route wants to."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    routes: dict[str, Reply] = field(default_factory=dict)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(head)
            path = head.split(" ")[1]
            await self.routes[path.split("?")[0]](reader, writer, path)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def raw(self, path: str, *pieces: bytes, pause_s: float = 0, forever: bool = False) -> str:
        async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            while True:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
                if not forever:
                    return

        self.routes[path] = reply
        return f"http://images.test:{self.port}{path}"

    def page(self, path: str, status: str = "200 OK", body: bytes = BODY, **headers: str) -> str:
        fields = {"Content-Length": str(len(body)), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in fields.items())
        return self.raw(path, f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    def redirect(self, path: str, to: str, status: str = "302 Found") -> str:
        return self.page(path, status, b"", Location=to)


@contextlib.asynccontextmanager
async def serving(address: str = "127.0.0.1") -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.answer, address, 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


async def names(host: str, port: int) -> list[str]:
    known = {"images.test": ["127.0.0.1"], "evil.test": ["127.0.0.2"]}
    if host not in known:
        raise socket.gaierror(-2, "Name or service not known")
    return known[host]


def only_the_test_server(address: urls.Address) -> bool:
    return str(address) == "127.0.0.1" or is_public(address)


def policy(*servers: Server, **options: Any) -> Policy:
    ports = frozenset({80, 443, *(server.port for server in servers)})
    return Policy(**{"allows": only_the_test_server, "ports": ports, "resolve": names, **options})


async def refused(url: str, *servers: Server, **options: Any) -> str:
    limits = options.pop("limits", FetchLimits(total_s=20))
    with pytest.raises(InvalidRequest) as caught:
        await fetch_image(
            url,
            limits=limits,
            policy=options.pop("policy", policy(*servers)),
            field="references[0]",
        )
    assert caught.value.field == "references[0]"
    message = caught.value.message
    assert message[0].isupper()
    assert message.endswith(".")
    return message
