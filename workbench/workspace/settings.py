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
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

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


_LIMITS = {
    "media_max_bytes": (1_000, 2_000_000_000),
    "media_max_pixels": (1_000, 1_000_000_000),
    "runner_max_jobs": (1, 1_000),
    "runner_work_threads": (1, 64),
    "feed_keep_days": (1, 36_500),
    "feed_keep_rows": (1_000, 1_000_000_000),
    "trash_keep_days": (0, 36_500),
}


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
        if isinstance(value, dict):
            flat.update({f"{key}_{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat


def _checked(values: dict[str, Any], name: str) -> dict[str, Any]:
    known = [field.name for field in fields(Settings)]
    for key, value in values.items():
        if key not in known:
            near = closest(key, known)
            hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(known)}."
            raise ConfigurationError(f"{name}: there is no setting {key!r}.{hint}")
        if key == "default_model":
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{name}: default_model must be the name of a model.")
            continue
        low, high = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigurationError(
                f"{name}: {key} must be a whole number from {low} to {high}, not {value!r}."
            )
    return values
