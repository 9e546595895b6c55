"""Keys of providers: from the environment, the system's keyring, or a file that only you can read.

A key is looked up anew for each job, so that one that is entered or changed counts at once; on an
event loop, which must not wait for a disk, what was read last counts. It is a `Secret` from the
moment it is read; nothing here returns, logs or stores one as text, and no frame that an error
comes through has one in a variable.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from workbench.domain.border import asked
from workbench.errors import ConfigurationError, InvalidRequest
from workbench.providers.catalogue import own_folder
from workbench.providers.own_files import alone, write_whole
from workbench.providers.redaction import Secret, Unframed

# Set in the kernels of pages: names of the providers that the worker beside them has keys for. They
# themselves have none, whoever's files they could read.
OF_WORKER = "WORKBENCH_WORKER_HAS"
SERVICE = "image-workbench"
FILE = "keys.json"
LEFT = (
    "The key is used no more, but the system's keyring did not delete it. Unlock it and remove "
    f"the key there: its service is {SERVICE!r}."
)
LONGEST_KEY = 4_000
_MAX_FILE_BYTES = 1_000_000

T = TypeVar("T")
_log = logging.getLogger(__name__)
_Kept = dict[str, Secret]  # what the file has, by provider: the JSON of an entry
_last_read: dict[Path, _Kept] = {}
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
    if kept is None:
        return None
    return _from_keyring(provider) if _is_in_keyring(kept) else _key_in(kept)


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
    if kept is None:
        return None
    if _is_in_keyring(kept):
        return "keyring"
    return None if _key_in(kept) is None else "file"


def keep(provider: str, key: str | Secret) -> str:
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
    ConfigurationError
        The file of keys is not in order, cannot be written, or another program keeps it for itself.
    """
    given = Secret(key.strip()) if isinstance(key, str) else Secret(key.reveal().strip())
    del key
    wrong = _wrong_with(given)
    if wrong is not None:
        raise InvalidRequest("key", wrong)
    ring = _keyring()
    # Before others are held off: it may ask for its password.
    in_ring = ring is not None and _put(ring, provider, given)
    place = path()
    with alone(place):
        kept = _read(place)  # and not what this process read last: others keep theirs there, too
        kept[provider] = _entry_of(given, in_ring=in_ring)
        _write(place, kept)
        if in_ring:
            _of_keyring[provider] = given
        else:
            _of_keyring.pop(provider, None)
    return "keyring" if in_ring else "file"


def forget(provider: str) -> str | None:
    """Remove a key that was kept, so that it is used no more.

    Returns
    -------
    str or None
        "removed"; "keyring" if the system's keyring did not delete it, and it may still be there;
        None if there was none.

    Raises
    ------
    ConfigurationError
        As `keep`.
    """
    place = path()
    found = _read(place).get(provider)
    if found is None:
        return None
    deleted = not _is_in_keyring(found) or _delete(_keyring(), provider)
    with alone(place):
        kept = _read(place)
        kept.pop(provider, None)
        _write(place, kept)
        _of_keyring.pop(provider, None)
    return "removed" if deleted else "keyring"


def path() -> Path:
    """Return where the file of keys is."""
    return own_folder() / FILE


def _kept() -> _Kept:
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


def _read(place: Path) -> _Kept:
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
        kept = _parsed(Secret(file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")))
    if kept is None:
        raise ConfigurationError(f"The file {FILE} is not in order; remove it and enter keys anew.")
    return kept


def _write(place: Path, kept: _Kept) -> None:
    write_whole(place, _joined(kept))
    _last_read[place] = dict(kept)


# -- the only functions that have keys as text; none of them raises --------------------------------


def _wrong_with(key: Secret) -> str | None:
    value = key.reveal()
    if not value or len(value) > LONGEST_KEY:
        return "is empty or too long to be a key."
    if not value.isascii() or not value.isprintable() or " " in value:
        return "has characters that no key has. Copy it again."
    return None


def _parsed(text: Secret) -> _Kept | None:
    try:
        value = json.loads(text.reveal())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {name: Secret(json.dumps(entry)) for name, entry in value.items()}


def _joined(kept: _Kept) -> Secret:
    return Secret(json.dumps({name: json.loads(entry.reveal()) for name, entry in kept.items()}))


def _entry_of(key: Secret, *, in_ring: bool) -> Secret:
    return Secret(json.dumps({"in": "keyring"} if in_ring else {"key": key.reveal()}))


def _fields_of(entry: Secret) -> Mapping[str, Any]:
    value = json.loads(entry.reveal())
    return value if isinstance(value, dict) else {}


def _is_in_keyring(entry: Secret) -> bool:
    return _fields_of(entry).get("in") == "keyring"


def _key_in(entry: Secret) -> Secret | None:
    key = _fields_of(entry).get("key")
    return Secret(key) if isinstance(key, str) and key else None


# -- the system's keyring --------------------------------------------------------------------------


def _keyring() -> Any:
    """Return the keyring module if it is installed and has a place that keeps something."""
    try:
        import keyring
        from keyring.backends import fail, null
    except ImportError:
        return None
    backend, refused = _asked(keyring.get_keyring)
    if refused is not None:  # its settings name one that is not there, or that cannot begin
        _log.warning("The system's keyring cannot be used (%s).", refused)
        return None
    return None if isinstance(backend, (fail.Keyring, null.Keyring)) else keyring


def _put(ring: Any, provider: str, key: Secret) -> bool:
    _, refused = _asked(lambda: ring.set_password(SERVICE, provider, key.reveal()))
    if refused is not None:  # locked, no session, no service: the file does
        _log.warning(
            "The keyring does not take the key of %s (%s); it is kept in the file %s.",
            provider,
            refused,
            FILE,
        )
    return refused is None


def _delete(ring: Any, provider: str) -> bool:
    """Delete a key in the keyring; False if it may still be there."""
    refused: str | None = "there is none"
    if ring is not None:
        _, refused = _asked(lambda: ring.delete_password(SERVICE, provider))
        if refused is None:
            return True
        # Some refuse what somebody has deleted by hand.
        gone, silent = _asked(lambda: ring.get_password(SERVICE, provider) is None)
        if gone and silent is None:
            return True
    _log.warning(
        "The keyring does not delete the key of %s (%s); look for it under %r there.",
        provider,
        refused,
        SERVICE,
    )
    return False


def _from_keyring(provider: str) -> Secret | None:
    known = _of_keyring.get(provider)
    if known is not None:
        return known
    ring = _keyring()
    if ring is None:
        raise ConfigurationError(
            f"The key of {provider} is in the system's keyring, which cannot be used here. Enter "
            "the key anew, or set it in the environment."
        )
    found, refused = _asked(lambda: Secret(ring.get_password(SERVICE, provider) or ""))
    if refused is not None:
        raise ConfigurationError(
            f"The keyring does not give the key of {provider} ({refused}). Unlock it."
        )
    if found:
        _of_keyring[provider] = found
    return found or None


def _asked(call: Callable[[], T]) -> tuple[T | None, str | None]:
    """Return what a keyring answers, or the class of what it raised: texts may hold the key."""
    with Unframed():  # an interrupt while it asks for its password comes through
        return asked(lambda: (call(), None), lambda error: (None, type(error).__name__))
