"""What people set for a provider on this machine: another address, how many jobs at once.

Kept in ``settings.json`` beside the keys, so that it holds for every workspace of this user.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import ConfigurationError, InvalidRequest
from workbench.providers.addresses import check_base_url
from workbench.providers.catalogue import own_folder
from workbench.providers.own_files import alone, write_whole
from workbench.providers.redaction import Secret

FILE = "settings.json"
MOST_AT_ONCE = 64
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """Of one provider; None: as it comes.

    Attributes
    ----------
    base_url:
        Where its server is.
    concurrency:
        Jobs at once over all processes of a workspace, 1 to 64.
    """

    base_url: str | None = None
    concurrency: int | None = None


def of(provider: str) -> OwnSettings:
    """Return what is set for a provider.

    Raises
    ------
    ConfigurationError
        The file is not in order.
    """
    given = _all().get(provider, {})
    try:
        return checked(given.get("base_url"), given.get("concurrency"))
    except (InvalidRequest, AttributeError) as error:
        raise ConfigurationError(f"{FILE}: {provider}: {error}") from None


def checked(base_url: object, concurrency: object) -> OwnSettings:
    """Return settings whose values can be used, or raise InvalidRequest."""
    address = None
    if base_url is not None and base_url != "":
        if not isinstance(base_url, str):
            raise InvalidRequest("base_url", "must be an address.")
        try:
            address = check_base_url(base_url, "base_url")
        except ConfigurationError as error:
            raise InvalidRequest("base_url", str(error).removeprefix("base_url ")) from None
    if concurrency is not None and (
        isinstance(concurrency, bool)
        or not isinstance(concurrency, int)
        or not 1 <= concurrency <= MOST_AT_ONCE
    ):
        raise InvalidRequest("concurrency", f"must be a whole number from 1 to {MOST_AT_ONCE}.")
    return OwnSettings(address, concurrency)


def put(provider: str, settings: OwnSettings) -> None:
    """Keep settings of a provider; the next program that opens a workspace has them, too.

    Raises
    ------
    ConfigurationError
        The file is not in order, cannot be written, or another program keeps it for itself.
    """
    place = own_folder() / FILE
    with alone(place):
        everything = _all()
        kept = {name: value for name, value in asdict(settings).items() if value is not None}
        if kept:
            everything[provider] = kept
        else:
            everything.pop(provider, None)
        write_whole(place, Secret(json.dumps(everything, indent=2)))


def _all() -> dict[str, Any]:
    place = own_folder() / FILE
    try:
        if place.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(f"{FILE} has more than {_MAX_BYTES:,} bytes.")
        value = json.loads(place.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{FILE} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{FILE} is not in order; remove it and set things anew.")
    return value
