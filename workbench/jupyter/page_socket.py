"""The websocket of a Voilà page. Whoever sees the page may send anything through it.

Jupyter Server reads a frame as its first bytes say: eight of them are enough to keep it, and with
it every visitor, busy until the memory is full. And Voilà looks into what leaves as if it always
had the newer form, which ends in the same way for a page that speaks the older one. So only the
newer form is spoken here, and a frame is looked at before anything else reads it.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Collection
from typing import Any

from tornado import web
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

PROTOCOL = "v1.kernel.websocket.jupyter.org"
MAX_JSON_BYTES = 1024 * 1024  # of one part; looking at more would take the server's time
_MOST_PARTS = 256  # buffers among them
_PARTS = ("header", "parent_header", "metadata", "content")
_FEWEST_OFFSETS = len(_PARTS) + 2  # of the channel's name, of each part, and of the end
_CHANNELS = (b"shell", b"control")
_LONGEST_NAME = 200


class PageSocket(VoilaKernelWebsocketHandler):  # type: ignore[misc]  # voila ships no types
    """Hands on what a page may say, and drops the rest without a word."""

    async def get(self, kernel_id: str) -> None:
        """Open it, for who speaks the form that is understood here."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in [one.strip() for one in offered.split(",")]:
            raise web.HTTPError(400)
        await super().get(kernel_id)

    def on_message(self, ws_message: str | bytes) -> None:
        """Hand a sound message to the kernel."""
        if is_sound(ws_message, self.kernel_manager.allowed_message_types):
            super().on_message(ws_message)


def is_sound(frame: str | bytes, kinds: Collection[str]) -> bool:
    r"""Tell whether a frame is a message of one of these kinds that a kernel can read.

    Examples
    --------
    >>> is_sound(b"\xff" * 8, ["comm_msg"]), is_sound("{}", ["comm_msg"])
    (False, False)
    """
    parts = _parts(frame) if isinstance(frame, bytes) else None
    if parts is None or parts[0] not in _CHANNELS:
        return False
    found = [_object(part) for part in parts[1 : 1 + len(_PARTS)]]
    header, content = found[0], found[-1]
    if header is None or content is None or None in found:
        return False
    if not _is_name(header.get("msg_id")) or header.get("msg_type") not in list(kinds):
        return False
    match header["msg_type"]:
        case "comm_open":
            named = _is_name(content.get("comm_id")) and _is_name(content.get("target_name"))
            return named and isinstance(content.get("data"), dict)
        case "comm_msg":
            return _is_name(content.get("comm_id")) and isinstance(content.get("data"), dict)
        case "comm_close":
            return _is_name(content.get("comm_id"))
    return True


def _parts(frame: bytes) -> list[bytes] | None:
    """Return the channel's name, the parts of JSON and the buffers; None if it is no message."""
    count = int.from_bytes(frame[:8], "little")
    start = 8 * (count + 1)
    if not _FEWEST_OFFSETS <= count <= _MOST_PARTS or len(frame) < start:
        return None
    offsets = struct.unpack_from(f"<{count}Q", frame, 8)
    places = list(itertools.pairwise(offsets))
    if offsets[0] != start or offsets[-1] > len(frame) or any(end < at for at, end in places):
        return None
    return [frame[at:end] for at, end in places]


def _object(part: bytes) -> dict[str, Any] | None:
    if len(part) > MAX_JSON_BYTES:
        return None
    try:
        value = json.loads(part)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
