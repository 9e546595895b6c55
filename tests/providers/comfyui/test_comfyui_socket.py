"""The websocket itself: nothing stays open that nobody has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio import client
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from workbench.providers.comfyui_socket import Socket


async def test_a_cancel_before_anybody_has_the_connection_cuts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saying, closed = asyncio.Event(), asyncio.Event()

    async def listen(connection: ServerConnection) -> None:
        try:
            await connection.recv()
        except ConnectionClosed:
            closed.set()

    async def send(self: client.ClientConnection, message: Any) -> None:
        saying.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(client.ClientConnection, "send", send)
    async with serve(listen, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        opening = asyncio.create_task(Socket.open(client, f"ws://127.0.0.1:{port}/", {}, "job"))
        await asyncio.wait_for(saying.wait(), 30)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.wait_for(closed.wait(), 30)
