"""Partial images in the kernel: our provider and widget; httpx and an image of ipywidgets."""

from __future__ import annotations

import base64
import json
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import ipywidgets

import workbench as wb
from benchmarks.measure import cpu_seconds
from benchmarks.streaming import CASES, NO_PARTIALS, PARTIALS, Asked
from workbench.domain.jobs import JobEvent, JobRef, JobRequest, Partial
from workbench.providers.openai_images import OpenAIImages

_MODEL = "gpt-image-2.5-flare"
_PATIENCE_S = 60


class Notes:
    """When each partial image got to which stage: (prompt, place) -> stage -> milliseconds."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, int], dict[str, float]] = {}
        self._given: list[tuple[str, int, bytes]] = []  # of this phase, as the provider gave them
        # The runner counts the previews that it stores; generation -> which ones they are.
        self._stored: dict[str, list[tuple[str, int]]] = defaultdict(list)

    def note(self, stage: str, prompt: str, place: int) -> None:
        """Note the first time."""
        self._at.setdefault((prompt, place), {}).setdefault(stage, time.time() * 1000)

    def given(self, prompt: str, place: int, data: bytes) -> None:
        """The provider has it, whole and decoded from its base64."""
        self.note("event", prompt, place)
        self._given.append((prompt, place, data))

    def stored(self, generation: str, data: bytes) -> None:
        """The runner has stored these very bytes."""
        (found,) = [(prompt, place) for prompt, place, one in self._given if one is data]
        self.note("stored", *found)
        self._stored[generation].append(found)

    def of_preview(self, stage: str, generation: str, preview: object) -> None:
        """Note something about a preview, counted from 1."""
        if isinstance(preview, int) and 0 < preview <= len(self._stored[generation]):
            self.note(stage, *self._stored[generation][preview - 1])

    def taken(self) -> list[dict[str, Any]]:
        """What was noted since."""
        found, self._at = self._at, {}
        self._given.clear()
        self._stored.clear()
        return [{"prompt": p, "place": place, **at} for (p, place), at in found.items()]


class Watched(OpenAIImages):
    """Notes when it gives out a partial image."""

    def __init__(self, notes: Notes, base_url: str, key: str) -> None:
        super().__init__("bench", base_url=base_url, key=key)
        self._notes = notes

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        place = 0
        async with aclosing(super().events(request, ref)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Partial):
                    self._notes.given(request.prompt, place, event.data)
                    place += 1
                yield event


class Work:
    """All phases of the figure, in turns, in a thread of the kernel.

    Each phase adds a line of JSON to a file, so that nobody has to ask the kernel meanwhile.
    """

    def __init__(self, ws: wb.Workspace, topic: Any, base_url: str, key: str) -> None:
        self.image = ipywidgets.Image(layout={"width": "192px"})
        self.image.add_class("bench-partial")
        self._ws = ws
        self._topic = topic
        self._url = base_url
        self._key = key
        self._notes = Notes()
        self._client = httpx.Client(trust_env=False, timeout=_PATIENCE_S)
        ws.add_provider(Watched(self._notes, base_url, key))
        self._watch_files()

    def start(self, widget: Any, rounds: int, calls: int, path: str) -> None:
        """Begin; `widget` is the one that shows the previews."""
        self._watch_messages(widget)
        Path(path).touch()
        threading.Thread(target=self._run, args=(rounds, calls, Path(path)), daemon=True).start()

    def _run(self, rounds: int, calls: int, path: Path) -> None:
        last = CASES[-1]  # PNG, as an image of ipywidgets is before there is one in it
        cases = [(case.name, case.form) for case in CASES] + [(NO_PARTIALS, last.form)]
        with path.open("a", encoding="utf-8", buffering=1) as file:
            try:
                for kind in ("ours", "bare"):  # the first call opens connections and imports
                    self._phase(Asked(kind, -1, last.name, 0), last.form, 1)
                for number in range(rounds):
                    for place, (case, form) in enumerate(cases):
                        for kind in sorted(("ours", "bare"), reverse=bool((number + place) % 2)):
                            first = Asked(kind, number, case, 0)
                            told = self._phase(first, form, calls)
                            file.write(json.dumps(told) + "\n")
                file.write('{"done": true}\n')
            except Exception:  # noqa: BLE001 - the border of the thread: the figure raises it again
                file.write(json.dumps({"error": traceback.format_exc()}) + "\n")

    def _phase(self, first: Asked, form: str, calls: int) -> dict[str, Any]:
        """Make so many calls one after the other; what they cost the kernel, and what was noted."""
        call = {"ours": self._ours, "bare": self._bare}[first.kind]
        partial = 0 if first.case == NO_PARTIALS else PARTIALS
        begun = cpu_seconds()
        for number in range(calls):
            call(str(replace(first, call=number)), form, partial)
        cpu_s = cpu_seconds() - begun
        kind, round_, case = first.kind, first.round, first.case
        notes = self._notes.taken()
        return {"kind": kind, "round": round_, "case": case, "cpu_s": cpu_s, "notes": notes}

    # -- ours -------------------------------------------------------------------------------------
    def _ours(self, prompt: str, _form: str, partial: int) -> None:
        batch = self._ws.generate(
            prompt, model=f"bench:{_MODEL}", n=1, partial_images=partial, topic=self._topic
        )
        batch.wait(_PATIENCE_S)
        (generation,) = batch.generations
        if generation.status != "completed":
            raise RuntimeError(f"{prompt}: {generation.status}")

    def _watch_files(self) -> None:
        media = self._ws._engine.media  # noqa: SLF001 - there is no public place to listen
        put = media.put_preview

        def watched(generation_id: str, data: bytes) -> None:
            put(generation_id, data)
            self._notes.stored(generation_id, data)

        media.put_preview = watched  # type: ignore[method-assign]

    def _watch_messages(self, widget: Any) -> None:
        channel = widget._channel  # noqa: SLF001 - as above
        send = channel._send_out  # noqa: SLF001 - as above

        def watched(content: dict[str, Any], buffers: list[bytes]) -> object:
            sent = send(content, buffers)
            for row in content.get("rows", ()):
                if row["e"] == "generation" and row["k"] == "put":
                    self._notes.of_preview("told", row["id"], row["d"]["preview"])
            if buffers:
                for item in content["data"].get("items", ()):
                    self._notes.of_preview("sent", item["id"], item.get("preview"))
            return sent

        channel._send_out = watched  # noqa: SLF001 - as above

    # -- what a person would write ----------------------------------------------------------------
    def _bare(self, prompt: str, form: str, partial: int) -> None:
        body: dict[str, Any] = {"model": _MODEL, "prompt": prompt, "n": 1, "size": "1024x1024"}
        if partial:
            body |= {"stream": True, "partial_images": partial}
        if self.image.format != form:
            self.image.format = form
        place = 0
        headers = {"Authorization": f"Bearer {self._key}"}
        url = f"{self._url}/images/generations"
        with self._client.stream("POST", url, json=body, headers=headers) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                said = json.loads(line.removeprefix("data: "))
                if said["type"].endswith(".partial_image"):
                    picture = base64.b64decode(said["b64_json"])
                    self._notes.note("event", prompt, place)
                    self.image.value = picture
                    self._notes.note("sent", prompt, place)
                    place += 1
        if place != partial:
            raise RuntimeError(f"{prompt}: {place} of {partial} partial images came")
