"""When the kernel of a page ends that nobody is connected to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workbench.jupyter import page_kernels
from workbench.jupyter.page_kernels import PageKernels

NEVER_SEEN_S, IDLE_S = 60.0, 10


class Kernels(PageKernels):
    """Counts the seconds until it ends its only kernel."""

    ended_after_s: float | None = None

    async def shutdown_kernel(self, kernel_id: str, *_: object, **__: object) -> None:
        self.ended_after_s = page_kernels.time.monotonic()


@pytest.mark.req("LIVE-7")
@pytest.mark.parametrize("idle_s", [IDLE_S, 600])
@pytest.mark.parametrize(
    ("state", "seen", "ends_after_s"),
    [
        ("idle", False, lambda idle_s: NEVER_SEEN_S),
        # It still makes the page that will connect to it: a slow one is not taken from its visitor.
        ("busy", False, lambda idle_s: max(NEVER_SEEN_S, idle_s)),
        ("idle", True, lambda idle_s: idle_s),
        ("busy", True, lambda idle_s: idle_s),
    ],
)
async def test_a_kernel_ends_some_time_after_its_page_left_or_did_not_come(
    monkeypatch: pytest.MonkeyPatch, state: str, seen: bool, ends_after_s, idle_s: int
) -> None:
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(page_kernels, "time", SimpleNamespace(monotonic=lambda: now.s))
    kernels = Kernels(cull_idle_timeout=idle_s, never_seen_s=NEVER_SEEN_S)
    kernels._kernels["one"] = SimpleNamespace(execution_state=state)
    kernels._kernel_connections["one"] = 0
    if seen:
        kernels.notify_connect("one")
        kernels.notify_disconnect("one")
    while kernels.ended_after_s is None and now.s < 1000:
        await kernels.cull_kernel_if_idle("one")
        now.s += 1
    assert kernels.ended_after_s == ends_after_s(idle_s)


@pytest.mark.req("LIVE-7")
async def test_a_page_that_took_long_to_make_has_all_its_time_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(page_kernels, "time", SimpleNamespace(monotonic=lambda: now.s))
    kernels = Kernels(cull_idle_timeout=600, never_seen_s=NEVER_SEEN_S)
    kernel = SimpleNamespace(execution_state="busy")
    kernels._kernels["one"] = kernel
    kernels._kernel_connections["one"] = 0
    while kernels.ended_after_s is None and now.s < 1000:
        # Two cells, and a moment between them.
        kernel.execution_state = "busy" if now.s < 45 or 50 <= now.s < 100 else "idle"
        await kernels.cull_kernel_if_idle("one")
        now.s += 1
    assert kernels.ended_after_s == 100 + NEVER_SEEN_S
