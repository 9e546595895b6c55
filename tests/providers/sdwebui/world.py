"""What the tests of sdwebui start from."""

from __future__ import annotations

from tests.providers.world import fast, job_request
from workbench.domain.jobs import JobRequest, Slot
from workbench.providers.sdwebui import SDWebUI

MODEL = "webui:current"


CANARY = "ann:webui-canary-0123456789"


def added(ws, server, **changes) -> SDWebUI:
    provider = SDWebUI("webui", **{"base_url": server.base_url, "pace": fast, **changes})
    ws.add_provider(provider)
    return provider


def calls(server) -> list:
    return [seen for seen in server.requests if seen.path.endswith(("2img",))]


def sent(server, path: str) -> list:
    return [seen for seen in server.requests if seen.path.partition("?")[0] == path]


def _request(**changes) -> JobRequest:
    given = {
        "key": "job-1",
        "width": 64,
        "height": 64,
        "params": {"steps": 4},
        "slots": (Slot("g", 0, 1),),
    }
    return job_request(**{"model": "current", **given, **changes})
