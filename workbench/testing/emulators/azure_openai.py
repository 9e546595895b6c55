"""Azure's OpenAI service as an emulator: deployments in addresses, a version, errors of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from workbench.testing.emulators.openai import EDITS, GENERATIONS, MODELS, OpenAIEmulator
from workbench.testing.emulators.server import JSON, Fault, Reply, Seen

_DEPLOYMENTS = "/openai/deployments/"
_MESSAGES = {
    "401": "Access denied due to invalid subscription key or wrong API endpoint.",
    "DeploymentNotFound": "The API deployment for this resource does not exist.",
    "content_policy_violation": "Your request was rejected as a result of our safety system.",
    "429": "Requests have exceeded the call rate limit. Please retry after 20 seconds.",
}


class AzureEmulator(OpenAIEmulator):
    """A server that speaks as Azure's OpenAI service does.

    Parameters
    ----------
    deployments:
        Names of deployments with their models.
    key:
        The key that it accepts, in the header ``api-key``.

    Examples
    --------
    >>> with AzureEmulator({"pictures": "gpt-image-2"}) as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self, deployments: Mapping[str, str], key: str = "0123456789abcdef0123456789abcdef"
    ) -> None:
        super().__init__(key)
        self._deployments = dict(deployments)

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the API has them."""
        word = {"invalid_api_key": "401", "model_not_found": "DeploymentNotFound"}.get(
            code or "", code or str(status)
        )
        error: dict[str, Any] = {"code": word, "message": _MESSAGES.get(word, message)}
        if word == "content_policy_violation":
            error["inner_error"] = {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_results": {"violence": {"filtered": True, "severity": "high"}},
            }
        return Reply(status, JSON, [json.dumps({"error": error}).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Make pictures for a deployment that there is."""
        path = seen.path.partition("?")[0]
        if path.startswith(_DEPLOYMENTS) and self._knows(seen):
            name = unquote(path.removeprefix(_DEPLOYMENTS).partition("/")[0])
            if name not in self._deployments:
                return self.error(404, "", "DeploymentNotFound")
        return super().answer(seen, fault)

    def _what(self, path: str, query: str) -> str | None:
        version = parse_qs(query).get("api-version", [""])[0]
        if path.startswith("/openai/v1/"):
            rest = path.removeprefix("/openai/v1")
        elif not version:
            return None
        elif path.startswith(_DEPLOYMENTS):
            rest = "/" + path.removeprefix(_DEPLOYMENTS).partition("/")[2]
        else:
            rest = path.removeprefix("/openai")
        return rest if rest in (GENERATIONS, EDITS, MODELS) else None

    def _knows(self, seen: Seen) -> bool:
        return seen.headers.get("api-key") == self.key
