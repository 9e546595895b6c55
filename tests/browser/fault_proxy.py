"""A TCP proxy between browser and server that breaks connections the way networks do."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_BLOCK = 64 * 1024
_SEND_WITHIN_S = 5.0


@dataclass
class _Pair:
    browser: socket.socket
    server: socket.socket


class FaultProxy:
    """Forwards `port` to a server on this machine, until it is told to misbehave.

    Examples
    --------
        with FaultProxy(server.port) as proxy:
            page.goto(server.url("lab", port=proxy.port))
            proxy.cut()              # all connections end; new ones are served
            proxy.refuse = True      # new connections end at once
            proxy.swallow_down = True  # what the server sends vanishes; connections stay open
            proxy.swallow_up = True    # what the browser sends vanishes
            proxy.heal()
    """

    def __init__(self, server_port: int) -> None:
        self.refuse = False
        self.swallow_down = False
        self.swallow_up = False
        self.swallowed_bytes = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)
        self.cut()
        self._listener.close()
        self._selector.close()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                self._close(pair)

    def heal(self) -> None:
        """Forward everything again. A connection that lost bytes is ended: it is no stream now."""
        lost = self.swallow_down or self.swallow_up
        self.refuse = self.swallow_down = self.swallow_up = False
        if lost:
            self.cut()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Nothing gets through, and nothing connects."""
        self.refuse = True
        self.cut()
        try:
            yield
        finally:
            self.refuse = False

    def _serve(self) -> None:
        while not self._ended.is_set():
            for key, _events in self._selector.select(timeout=0.2):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._forward(key.data, key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        browser, _address = self._listener.accept()
        if self.refuse:
            browser.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:  # it is down; so is its port, as far as the browser can tell
            browser.close()
            return
        pair = _Pair(browser, server)
        with self._lock:
            for end in (browser, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(_SEND_WITHIN_S)
                self._selector.register(end, selectors.EVENT_READ, pair)
            self._pairs.append(pair)

    def _forward(self, pair: _Pair, source: socket.socket) -> None:
        with self._lock:
            if pair not in self._pairs:  # cut since select returned
                return
            downwards = source is pair.server
            try:
                data = source.recv(_BLOCK)
                if data and (self.swallow_down if downwards else self.swallow_up):
                    self.swallowed_bytes += len(data)
                    return
                if data:
                    (pair.browser if downwards else pair.server).sendall(data)
                    return
            except OSError:
                pass  # the other side is gone: so is the pair
            self._pairs.remove(pair)
            self._close(pair)

    def _close(self, pair: _Pair) -> None:
        for end in (pair.browser, pair.server):
            self._selector.unregister(end)
            end.close()
