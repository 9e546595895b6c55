"""What tests of every dialect start from."""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import workbench as wb
from tests.waiting import until
from workbench.domain.jobs import JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ProviderError
from workbench.providers.polling import Pace
from workbench.testing.emulators.server import Fault, Seen

# Refusals before any work was done: they are tried again, and nothing was charged.
PUT_OFF = (
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault(status=429, headers={"Retry-After": "soon"}),
    Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    Fault(status=429),
    Fault(status=500),
    Fault(status=503),
)

FAST = functools.partial(Pace, first_s=0.01, longest_s=0.05)


def fast() -> Pace:
    """Questions without waiting in between."""
    return FAST()


def provider_on(kind: Callable[..., Any], name: str, server: Any, **changes: Any) -> Any:
    """A provider on an emulator that asks without waiting in between."""
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    return kind(name, **given)


def added_to(ws: Any, provider: Any) -> Any:
    """The provider, which the workspace has from now on."""
    ws.add_provider(provider)
    return provider


@contextmanager
def several(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Starts emulators of a kind; all of them end with the block."""
    with ExitStack() as opened:
        yield lambda **how: opened.enter_context(kind(**how))


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def only(batch: wb.Batch) -> wb.Generation:
    """The only picture of a batch, at its end."""
    (generation,) = ended(batch).generations
    return generation


def error_of(batch: wb.Batch):  # type: ignore[no-untyped-def]
    """The error of the only picture of a batch."""
    generation = only(batch)
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def wait_noted(ws: Any, words: str) -> None:
    """Wait until the log says it: a remark may come after the end of its job."""
    until(lambda: any(words in repr(entry) for entry in ws.debug.entries()), f"{words!r} in a log")


def preview_of(ws: Any, generation: wb.Generation) -> bytes | None:
    """The preview of a generation that is shown now."""
    shown: bytes | None = ws._engine.media.read_preview(generation.id)
    return shown


def step_of(generation: wb.Generation) -> tuple[int | None, int | None]:
    """The step of a generation that is shown now, and how many there are."""
    record = generation.record
    return record.step, record.total_steps


def shown_one_by_one(
    ws: Any,
    generation: wb.Generation,
    looks: Iterable[tuple[tuple[int, int | None], bytes]],
    go_on: Callable[[], None],
) -> None:
    """Wait until each of these steps and previews is shown; only then its emulator may go on.

    After the last one it may go on to its end, in several pieces.
    """
    for step, preview in looks:
        until(lambda step=step: step_of(generation) == step, f"step {step}")
        until(lambda preview=preview: preview_of(ws, generation) == preview, f"preview of {step}")
        go_on()
    for _ in range(3):
        go_on()
    assert only(generation.batch).status == "completed", generation.error


def job_request(model: str, **changes: Any) -> JobRequest:
    """A request as the engine makes it, for one picture with a seed."""
    given: dict[str, Any] = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": None,
        "height": None,
        "params": {},
        "slots": (Slot("g", 0, 7),),
    }
    return JobRequest(**{**given, **changes})


async def drained(provider: Any, request: JobRequest, ref: JobRef | None = None) -> list:
    """The events of a job, by its reference where there is one."""
    known = await provider.submit(request) if ref is None else ref
    return [event async for event in provider.events(request, known)]


async def failure_of(
    provider: Any, request: JobRequest, ref: JobRef | None = None
) -> ProviderError:
    """The error of a job; the provider is closed."""
    with pytest.raises(ProviderError) as caught:
        await drained(provider, request, ref)
    await provider.close()
    return caught.value


def requests_of(server: Any, method: str, end: str = "") -> list[Seen]:
    """The requests that a server got, by method and the end of their path."""
    return [
        one
        for one in server.requests
        if one.method == method and one.path.partition("?")[0].endswith(end)
    ]


# -- keys ------------------------------------------------------------------------------------------


def shown_of(batch: wb.Batch) -> list[str]:
    """Everything that a batch shows of itself."""
    shown = [repr(batch), batch.to_python(), json.dumps(batch.settings())]
    return shown + [repr(one) + repr(one.error) + one.detail for one in batch.all_generations()]


def shown_by(ws: Any, provider: Any) -> list[str]:
    """Everything that a workspace and a provider show of themselves."""
    shown = [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
    doctor = ws.doctor()
    assert doctor.problems == []
    shown += [repr(ws.providers()), repr(ws.models()), repr(doctor.to_dict())]
    shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
    return shown + [repr(entry) for entry in ws.debug.entries()]


def assert_nowhere(secret: str, shown: Iterable[str], folder: Path) -> None:
    """Check that a secret is in none of these texts, and in no file below a folder."""
    assert not [text for text in shown if secret in text]
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


# -- pictures --------------------------------------------------------------------------------------


def noise(side: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture that nothing makes small: random pixels."""
    pixels = os.urandom(side * side * len(mode))
    held = io.BytesIO()
    Image.frombytes(mode, (side, side), pixels).save(held, kind, quality=95)
    return held.getvalue()
