"""Together's image models: OpenAI's dialect with seeds, steps and sizes of its own."""

from __future__ import annotations

from typing import ClassVar

from workbench.providers.openai_images import OpenAIImages


class Together(OpenAIImages):
    """Image models that Together serves.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    base_url:
        Address of the API; None: TOGETHER_BASE_URL, or Together.
    key:
        The key; None: TOGETHER_API_KEY. It goes to no `base_url`.
    models:
        Names of models instead of those of the data file; `discover` adds to them.
    concurrency, patience, pace:
        As `OpenAIImages` has them.

    Examples
    --------
    >>> Together().models()[0].id
    'together:black-forest-labs/FLUX.1-schnell'
    """

    usual_name: ClassVar[str] = "together"
    usual_profile: ClassVar[str] = "together"
    help = "FLUX and other models by Together. It needs a key, and each picture costs money."
    home: ClassVar[str] = "https://api.together.xyz/v1"
    key_variables: ClassVar[tuple[str, ...]] = ("TOGETHER_API_KEY",)
    address_variable: ClassVar[str] = "TOGETHER_BASE_URL"
    data: ClassVar[str] = "together"
