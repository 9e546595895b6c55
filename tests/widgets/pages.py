"""A page of a widget, without a browser: what it may ask for, answered by the real operations."""

from __future__ import annotations

from typing import Any

from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.testing.providers import FakeProvider
from workbench.widgets import protocol
from workbench.widgets.desk import Desk
from workbench.widgets.operations.context import Answer, Context
from workbench.widgets.operations.desk_order import DeskOrder
from workbench.widgets.operations.handles import PageFiles
from workbench.widgets.operations.table import HANDLERS
from workbench.workspace.workspace import Workspace

MISSING = "0" * 26  # the form of an id, but nobody's
SMALL = {"width": 64, "height": 64, "params": {"steps": 2}}


class Page:
    """One page with files of its own and the desk of its notebook."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        simple: bool = False,
        client: str = "page-one",
        notebook: str = "notebook",
    ) -> None:
        self.workspace = workspace
        self.desk = Desk.of(workspace, notebook)
        self.files = PageFiles()
        self.desk_order = DeskOrder()
        self.simple = simple
        self.client = client

    def context(self, *buffers: bytes) -> Context:
        return Context(
            workspace=self.workspace,
            desk=self.desk,
            widget="Workbench",
            simple=self.simple,
            client=self.client,
            buffers=buffers,
            files=self.files,
            desk_order=self.desk_order,
        )

    def answer(self, op: str, *buffers: bytes, **args: Any) -> Answer:
        """The answer with its buffers; the arguments have the names of the protocol."""
        known = protocol.OPS[op].required.keys() | protocol.OPS[op].optional.keys()
        assert args.keys() <= known, args.keys() - known
        assert protocol.OPS[op].required.keys() <= args.keys()
        return HANDLERS[op](self.context(*buffers), args)

    def ask(self, op: str, *buffers: bytes, **args: Any) -> dict[str, Any]:
        return self.answer(op, *buffers, **args).data

    def submit(self, prompt: str = "a red fox", key: str = "key-1", **args: Any) -> dict[str, Any]:
        return self.ask("submit", prompt=prompt, client_key=key, **{**SMALL, **args})

    def download(self, kind: str, id: str) -> tuple[dict[str, Any], bytes]:
        """What was opened, and all of its bytes, read piece by piece."""
        opened = self.ask("file.open", kind=kind, id=id)
        data = b""
        while True:
            piece = self.answer("file.read", handle=opened["handle"], offset=len(data))
            assert len(piece.buffers[0]) == piece.data["size"] <= protocol.FILE_CHUNK_BYTES
            assert piece.data["offset"] == len(data)
            data += piece.buffers[0]
            if piece.data["end"]:
                break
        self.ask("file.close", handle=opened["handle"])
        return opened, data

    def upload(self, data: bytes, name: str = "fox.png", *, piece: int = 1000) -> dict[str, Any]:
        handle = self.ask("upload.begin", name=name, size=len(data))["handle"]
        for offset in range(0, len(data), piece):
            chunk = data[offset : offset + piece]
            received = self.ask("upload.chunk", chunk, handle=handle, offset=offset)["received"]
            assert received == offset + len(chunk)
        return self.ask("upload.end", handle=handle)


class Studio(FakeProvider):
    """A provider whose model has parameters of every sort: shown, advanced, hidden."""

    def __init__(self, name: str = "studio", **options: Any) -> None:
        super().__init__(name, **options)
        size = {"minimum": 16, "maximum": 2048, "unit": "px"}
        self._model = Model(
            id=f"{name}:picture",
            provider=name,
            name="picture",
            title="Studio picture",
            help="For tests.",
            parameters={
                "width": Parameter(ParameterKind.INTEGER, default=64, **size),
                "height": Parameter(ParameterKind.INTEGER, default=64, advanced=True, **size),
                "guidance": Parameter(ParameterKind.NUMBER, default=3, minimum=0, maximum=9),
                "sampler": Parameter(
                    ParameterKind.CHOICE, default="a", choices=("a", "b"), advanced=True
                ),
                "debug": Parameter(ParameterKind.BOOLEAN, hidden=True),
            },
            max_images=8,
            max_references=2,
            price=self._model.price,
        )
