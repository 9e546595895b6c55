"""Keys of providers: from the environment, the system's keyring, or a file that only you can read.

A key is looked up anew for each job, so that one that is entered or changed counts at once; on an
event loop, which must not wait for a disk, what was read last counts. It is a `Secret` from the
moment it is read; nothing here returns, logs or stores one as text.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.errors import ConfigurationError, InvalidRequest
from workbench.providers.catalogue import own_folder
from workbench.providers.redaction import Secret

# Set in the kernels of pages: names of the providers that the worker beside them has keys for. They
# themselves have none, whoever's files they could read.
OF_WORKER = "WORKBENCH_WORKER_HAS"
SERVICE = "image-workbench"
FILE = "keys.json"
LONGEST_KEY = 4_000
_MAX_FILE_BYTES = 1_000_000

_lock = threading.Lock()
_last_read: dict[Path, dict[str, Any]] = {}
_of_keyring: dict[str, Secret] = {}  # asking it may take a second, and may ask the user


def find(provider: str, variables: Sequence[str] = ()) -> Secret | None:
    """Return the key of a provider, or None.

    Parameters
    ----------
    provider:
        Its name, under which a key was kept.
    variables:
        Environment variables that may hold it; the first that is set counts.

    Raises
    ------
    ConfigurationError
        The file of keys is readable by others, or is not in order.
    """
    for name in variables:
        value = os.environ.get(name, "").strip()
        if value:
            return Secret(value)
    if is_page():
        return None
    kept = _kept().get(provider)
    if not isinstance(kept, dict):
        return None
    if kept.get("in") == "keyring":
        return _from_keyring(provider)
    key = kept.get("key")
    return Secret(key) if isinstance(key, str) and key else None


def is_page() -> bool:
    """Tell whether this is the kernel of a page, which uses no keys and keeps none."""
    return OF_WORKER in os.environ


def worker_has(provider: str) -> bool:
    """Tell whether this is the kernel of a page, and the worker beside it can use a provider."""
    return provider in os.environ.get(OF_WORKER, "").split(",")


def place_of(provider: str, variables: Sequence[str] = ()) -> str | None:
    """Tell where the key of a provider is: a variable's name, "keyring", "file", or None."""
    for name in variables:
        if os.environ.get(name, "").strip():
            return name
    if is_page():
        return None
    kept = _kept().get(provider)
    if not isinstance(kept, dict):
        return None
    return "keyring" if kept.get("in") == "keyring" else "file"


def keep(provider: str, key: str) -> str:
    """Keep a key, in the keyring where there is one, and say where it is now.

    Parameters
    ----------
    provider:
        The provider's name.
    key:
        The key; white space around it is dropped.

    Returns
    -------
    str
        "keyring" or "file".

    Raises
    ------
    InvalidRequest
        It cannot be a key.
    """
    value = key.strip()
    if not value or len(value) > LONGEST_KEY:
        raise InvalidRequest("key", "is empty or too long to be a key.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidRequest("key", "has characters that no key has. Copy it again.")
    ring = _keyring()
    with _lock:
        kept = _kept()
        if ring is not None and _put(ring, provider, value):
            kept[provider] = {"in": "keyring"}
            _of_keyring[provider] = Secret(value)
        else:
            kept[provider] = {"key": value}
            _of_keyring.pop(provider, None)
        _write(kept)
        return "keyring" if "in" in kept[provider] else "file"


def forget(provider: str) -> bool:
    """Remove a key that was kept; False if there was none."""
    with _lock:
        kept = _kept()
        found = kept.pop(provider, None)
        if found is None:
            return False
        _of_keyring.pop(provider, None)
        ring = _keyring()
        if ring is not None and isinstance(found, dict) and found.get("in") == "keyring":
            with suppress(Exception):  # it may be gone there already
                ring.delete_password(SERVICE, provider)
        _write(kept)
        return True


def path() -> Path:
    """Return where the file of keys is."""
    return own_folder() / FILE


def _kept() -> dict[str, Any]:
    place = path()
    if place in _last_read and _on_loop():
        return dict(_last_read[place])
    kept = _read(place)
    _last_read[place] = kept
    return dict(kept)


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _read(place: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"The file of keys cannot be read: {error.strerror}.") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if os.name == "posix" and stat.S_IMODE(about.st_mode) & 0o077:
            raise ConfigurationError(
                f"The file {FILE} may be read by others. Take their rights away: chmod 600 {FILE}."
            )
        text = file.read(_MAX_FILE_BYTES)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigurationError(f"The file {FILE} is not in order; remove it and enter keys anew.")
    return value


def _write(kept: dict[str, Any]) -> None:
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it for the owner only; whole or not at all.
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=".keys-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
        _last_read[place] = dict(kept)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _keyring() -> Any:
    """Return the keyring module if it is installed and has a place that keeps something."""
    try:
        import keyring
        from keyring.backends import fail, null
    except ImportError:
        return None
    backend = keyring.get_keyring()
    return None if isinstance(backend, (fail.Keyring, null.Keyring)) else keyring


def _put(ring: Any, provider: str, value: str) -> bool:
    try:
        ring.set_password(SERVICE, provider, value)
    except Exception:  # noqa: BLE001 - locked, no session, no service: the file does as well
        return False
    return True


def _from_keyring(provider: str) -> Secret | None:
    known = _of_keyring.get(provider)
    if known is not None:
        return known
    ring = _keyring()
    if ring is None:
        return None
    try:
        value = ring.get_password(SERVICE, provider)
    except Exception as error:  # noqa: BLE001 - whatever a keyring raises, it is locked or away
        raise ConfigurationError(
            f"The keyring does not give the key of {provider} ({type(error).__name__}). Unlock it."
        ) from None
    if not value:
        return None
    found = Secret(value)
    _of_keyring[provider] = found
    return found
