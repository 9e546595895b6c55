"""OpenAI's image models as Azure serves them: deployments that you named, at your own address.

The dialect is OpenAI's; the address names the deployment and a version of the API, and the key
goes in a header of its own. ::

    ws.add_provider(AzureOpenAI("azure", base_url="https://mine.openai.azure.com", key=…,
                                deployments={"pictures": "gpt-image-2"}))
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, urlencode

from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, ProviderError
from workbench.ports import ProviderState
from workbench.providers.catalogue import Entry
from workbench.providers.http import USUAL_PATIENCE, Patience
from workbench.providers.openai_images import OpenAIImages
from workbench.providers.openai_models import served
from workbench.providers.polling import Pace
from workbench.providers.redaction import Secret

DEPLOYMENTS = "AZURE_OPENAI_DEPLOYMENTS"
# The second one is the variable of OpenAI's own client.
VERSIONS = ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION")
USUAL_VERSION = "2025-04-01-preview"  # the first that has the GPT image models
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_VERSION = re.compile(r"[\w.-]{1,40}", re.ASCII)
_TAIL = re.compile(r"/openai(/v1)?$")


class AzureOpenAI(OpenAIImages):
    """Image models of your Azure resource.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<deployment>``.
    base_url:
        The resource's endpoint; None: AZURE_OPENAI_ENDPOINT.
    key:
        The key; None: AZURE_OPENAI_API_KEY. It goes to no `base_url`.
    deployments:
        Names of deployments with the models that they run, or names alone where the two are the
        same; None: AZURE_OPENAI_DEPLOYMENTS, as in ``pictures=gpt-image-2, gpt-image-1-mini``.
    api_version:
        Of the API; None: AZURE_OPENAI_API_VERSION, or the first with these models. "v1" is the
        newer address without deployments in it (believed, not tried).
    concurrency, patience, pace:
        As `OpenAIImages` has them.

    Examples
    --------
    >>> azure = AzureOpenAI(base_url="https://mine.openai.azure.com", key="0123456789",
    ...                     deployments={"pictures": "gpt-image-2"})
    >>> [model.id for model in azure.models()], azure.state().ready
    (['azure:pictures'], True)
    """

    usual_name: ClassVar[str] = "azure"
    help = "OpenAI's image models in your Azure resource. Each picture costs money there."
    home: ClassVar[str] = ""
    key_variables: ClassVar[tuple[str, ...]] = ("AZURE_OPENAI_API_KEY",)
    address_variable: ClassVar[str] = "AZURE_OPENAI_ENDPOINT"
    data: ClassVar[str] = "azure_openai"

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
        deployments: Mapping[str, str] | Iterable[str] | None = None,
        api_version: str | None = None,
        concurrency: int | None = None,
        patience: Patience = USUAL_PATIENCE,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        self._given = None if deployments is None else _pairs(deployments)
        self._version = api_version
        super().__init__(
            name,
            base_url=base_url,
            key=key,
            concurrency=concurrency,
            patience=patience,
            pace=pace,
        )
        self.title = self._line.title = "Azure OpenAI"

    # -- what people see --------------------------------------------------------------------------

    def state(self) -> ProviderState:
        """Ready where endpoint, key and deployments are named. It asks nobody."""
        if not (self._base_url or self._set_base_url or os.environ.get(self.address_variable)):
            return ProviderState(
                False,
                "key_missing",
                f"Set the environment variables {self.address_variable}, {self.key_variables[0]} "
                f"and {DEPLOYMENTS} to your resource's endpoint, key and deployments.",
            )
        try:
            deployments = self._deployments()
            self._api_version()
        except ConfigurationError as error:
            return ProviderState(False, "error", str(error))
        if not deployments:
            return ProviderState(
                False, "error", f"No deployment is named. Set {DEPLOYMENTS}, or give deployments."
            )
        return super().state()

    async def test(self) -> str:
        """Ask for the resource's list of models, which costs nothing."""
        await self._listed()
        count = len(self._deployments())
        return f"{self.title} answered; {count} deployment{'' if count == 1 else 's'} named here."

    # -- settings ---------------------------------------------------------------------------------

    def _base(self) -> str:
        # People copy addresses with and without the beginning of the API's path.
        return _TAIL.sub("", super()._base())

    def _url(self, path: str, model: str) -> str:
        base = self._address("/openai")
        try:
            version = self._api_version()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.BAD_REQUEST, str(error)) from None
        if version == "v1":
            return f"{base}/v1{path}"
        middle = f"/deployments/{quote(model, safe='')}" if model else ""
        return f"{base}{middle}{path}?{urlencode({'api-version': version})}"

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"api-key": key.reveal()}

    def _how_to_set(self) -> str:
        if self._base_url is not None:
            return "Give its key."
        return f"Set the environment variable {self.key_variables[0]} to your resource's key."

    def _entries(self) -> Mapping[str, Entry]:
        known = super()._entries()
        try:
            deployments = self._deployments()
        except ConfigurationError:
            return {}  # `state` says what is wrong
        entries = {}
        for deployment, model in deployments.items():
            entry = known.get(model)
            if entry is None:
                entry = served(self.name, [deployment], self._has)[deployment]
                parameters = {
                    key: one
                    for key, one in entry.model.parameters.items()
                    if key in ("width", "height")
                }
                entry = replace(
                    entry, model=replace(entry.model, seeds=False, parameters=parameters)
                )
            shown = entry.model.title if model == deployment else f"{deployment} ({model})"
            entries[deployment] = replace(
                entry,
                model=replace(
                    entry.model, id=f"{self.name}:{deployment}", name=deployment, title=shown
                ),
            )
        return entries

    def _deployments(self) -> Mapping[str, str]:
        if self._given is not None:
            return self._given
        text = os.environ.get(DEPLOYMENTS, "")
        return _pairs(part for part in re.split(r"[,\s]+", text) if part)

    def _api_version(self) -> str:
        found = (os.environ.get(name, "").strip() for name in VERSIONS)
        version = self._version or next((one for one in found if one), USUAL_VERSION)
        if _VERSION.fullmatch(version) is None:
            raise ConfigurationError(f"{VERSIONS[0]} is no version of the API.")
        return version


def _pairs(given: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Return deployments with their models; a name alone is both."""
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        pairs = []
        for part in given:
            deployment, _, model = part.partition("=")
            pairs.append((deployment.strip(), model.strip() or deployment.strip()))
    for deployment, _ in pairs:
        if _NAME.fullmatch(deployment) is None:
            raise ConfigurationError(
                f"{DEPLOYMENTS} must be names like pictures=gpt-image-2, with commas in between."
            )
    return dict(pairs)
