"""Settings from one TOML file: WORKBENCH_CONFIG, else ``config.toml`` in the workspace folder.

::

    default_model = "sketch"
    [media]
    max_bytes = 50_000_000        # per image
    max_pixels = 64_000_000
    [runner]
    max_jobs = 32                 # at once in this process
    work_threads = 2              # painting, decoding, thumbnails
    [feed]
    keep_days = 30
    keep_rows = 1_000_000
    [trash]
    keep_days = 30
    [identity]                    # where a trusted proxy names the user; see `identity`
    header = "X-Forwarded-User"
    secret_header = "X-Workbench-Secret"
    [titles]                      # of topics, after their first batch; costs what the model costs
    model = "openai:gpt-5-mini"   # or "gemini:…"; without it titles come from the prompt
    [servers.attic]               # one of your own: which provider speaks to it, and how
    kind = "openai"
    base_url = "http://127.0.0.1:8080/v1"
    profile = "stable-diffusion.cpp"
    models = ["sd-cpp-local"]
    [visitors]                    # anonymous ones; 0: nothing, false: no limit
    images_per_day = 100          # of one visitor; the day is that of UTC
    unfinished = 8                # of one visitor at a time
    queue = 200                   # unfinished ones of all visitors
    usd_per_day = 0               # of one visitor, for models that providers bill to your keys;
                                  # those without a known price only with false
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.domain.limits import VisitorLimits
from workbench.domain.parameters import closest
from workbench.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a workspace with their defaults; sizes in bytes and pixels, times in days."""

    default_model: str = "sketch"
    media_max_bytes: int = 50_000_000
    media_max_pixels: int = 64_000_000
    runner_max_jobs: int = 32
    runner_work_threads: int = 2
    feed_keep_days: int = 30
    feed_keep_rows: int = 1_000_000
    trash_keep_days: int = 30
    identity_header: str = "X-Forwarded-User"
    identity_secret_header: str = "X-Workbench-Secret"  # noqa: S105 - its name, not a secret
    visitors_images_per_day: int = 100
    visitors_unfinished: int = 8
    visitors_queue: int = 200
    visitors_usd_per_day: float = 0
    titles_model: str = ""
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def visitors(self) -> VisitorLimits:
        """How much anonymous visitors may make."""
        return VisitorLimits(
            _limit(self.visitors_images_per_day),
            _limit(self.visitors_unfinished),
            _limit(self.visitors_queue),
            None if self.visitors_usd_per_day < 0 else Decimal(str(self.visitors_usd_per_day)),
        )


_UNLIMITED = -1  # or false

_LIMITS = {
    "media_max_bytes": (1_000, 2_000_000_000),
    "media_max_pixels": (1_000, 1_000_000_000),
    "runner_max_jobs": (1, 1_000),
    "runner_work_threads": (1, 64),
    "feed_keep_days": (1, 36_500),
    "feed_keep_rows": (1_000, 1_000_000_000),
    "trash_keep_days": (0, 36_500),
    "visitors_images_per_day": (_UNLIMITED, 1_000_000),
    "visitors_unfinished": (_UNLIMITED, 1_000_000),
    "visitors_queue": (_UNLIMITED, 1_000_000),
    "visitors_usd_per_day": (_UNLIMITED, 100_000),
}
_AMOUNTS = ("visitors_usd_per_day",)  # whole numbers or not

_HEADERS = ("identity_header", "identity_secret_header")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")


def _limit(value: int) -> int | None:
    return None if value == _UNLIMITED else value


def load_settings(folder: Path) -> Settings:
    """Read the settings file of a workspace; without one, the defaults.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or parsed, or has an unknown key or a value out of range.
    """
    given = os.environ.get("WORKBENCH_CONFIG")
    path = Path(given) if given else folder / "config.toml"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if given:
            raise ConfigurationError(
                f"WORKBENCH_CONFIG names {path.name!r}, which does not exist."
            ) from None
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The settings file {path.name!r} is unreadable: {error}"
        ) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The settings file {path.name!r} is not TOML: {error}") from None
    return Settings(**_checked(_flat(table), path.name))


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and key != "servers":
            flat.update({f"{key}_{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat


def _check_servers(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name}: write a server as a table: [servers.attic].")
    for server, given in value.items():
        if not isinstance(given, dict) or not isinstance(given.get("kind"), str):
            raise ConfigurationError(
                f"{name}: the server {server!r} needs a kind: the provider that speaks to it."
            )
        if "key" in given:
            # The file lies in the workspace, which people share and back up.
            raise ConfigurationError(
                f"{name}: keys do not belong into this file. Enter the key of {server!r} with "
                f"jupyter workbench providers key {server}."
            )


def _check_text_model(name: str, value: object) -> None:
    from workbench.providers.text import NAMED_LIKE, is_text_model  # only where one is set

    if not is_text_model(value):
        raise ConfigurationError(
            f"{name}: titles_model must name a text model, like {NAMED_LIKE!r}, not {value!r}."
        )


def _checked(values: dict[str, Any], name: str) -> dict[str, Any]:
    known = [field.name for field in fields(Settings)]
    for key, value in values.items():
        if key not in known:
            near = closest(key, known)
            hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(known)}."
            raise ConfigurationError(f"{name}: there is no setting {key!r}.{hint}")
        if key == "servers":
            _check_servers(name, value)
            continue
        if key == "default_model":
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{name}: default_model must be the name of a model.")
            continue
        if key == "titles_model":
            _check_text_model(name, value)
            continue
        if key in _HEADERS:
            if not isinstance(value, str) or _HEADER.fullmatch(value) is None:
                raise ConfigurationError(f"{name}: {key} must be the name of an HTTP header.")
            continue
        low, high = _LIMITS[key]
        if value is False and low == _UNLIMITED:
            continue
        kinds = (int, float) if key in _AMOUNTS else int
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            hint = " (-1 or false: no limit)" if low == _UNLIMITED else ""
            whole = "number" if key in _AMOUNTS else "whole number"
            raise ConfigurationError(
                f"{name}: {key} must be a {whole} from {low} to {high}{hint}, not {value!r}."
            )
    return {key: _UNLIMITED if value is False else value for key, value in values.items()}
