"""Where a workspace is and who opened it."""

from __future__ import annotations

import getpass
import os
import socket
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workbench.domain.arguments import shown
from workbench.errors import ConfigurationError, InvalidRequest

FOLDER_NAME = ".workbench"


def resolve(location: str | os.PathLike[str] | None) -> Path:
    """Return the absolute folder of a workspace.

    Parameters
    ----------
    location:
        A folder, ``"sqlite:///folder"``, or None for the default: ``WORKBENCH_HOME``, else the
        nearest ``.workbench`` upwards from the notebook's folder, else a new one there.

    Raises
    ------
    InvalidRequest
        If it is neither a usable path nor a URL of a known kind.
    ConfigurationError
        If WORKBENCH_HOME is set to nothing usable.
    """
    if location is None:
        home = os.environ.get("WORKBENCH_HOME")
        if home is not None:
            if not home.strip():
                raise ConfigurationError(
                    "WORKBENCH_HOME is set but empty; set it to a folder or unset it."
                )
            return _folder(home, "WORKBENCH_HOME")
        return default_folder(notebook_folder())
    try:
        text = os.fspath(location)
    except TypeError:
        raise InvalidRequest(
            "location", f"must be a path or a URL, not {type(location).__name__}."
        ) from None
    if isinstance(text, bytes):
        raise InvalidRequest("location", "must be text, not bytes.")
    if "://" in text:
        return _from_url(text)
    return _folder(text, "location")


def notebook_folder() -> Path:
    """Return the folder of the running notebook, or the current folder in a script."""
    session = os.environ.get("JPY_SESSION_NAME", "")
    if session.endswith(".ipynb"):
        folder = Path(session).parent
        if folder.is_absolute() and folder.is_dir():
            return folder
    return Path.cwd()


def _from_url(url: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidRequest("location", f"is no usable URL ({error}).") from None
    if parts.scheme == "sqlite":
        if parts.netloc:
            raise InvalidRequest("location", "write sqlite:///folder (three slashes).")
        path = unquote(parts.path)
        # As elsewhere: three slashes = relative, four = absolute.
        return _folder(path.removeprefix("/"), "location")
    if parts.scheme in ("postgresql", "postgres"):
        raise InvalidRequest(
            "location", "PostgreSQL is not supported by this version; use a folder."
        )
    raise InvalidRequest(
        "location", f"{shown(url)} is no URL of a workspace; use a folder or sqlite:///folder."
    )


def _folder(text: str, field: str) -> Path:
    if not text or "\0" in text:
        raise InvalidRequest(field, "must name a folder.")
    try:
        os.fsencode(text)
        path = Path(text).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise InvalidRequest(field, f"{shown(path.name)} is a file; a workspace is a folder.")
        return path.resolve()
    except UnicodeEncodeError:
        raise InvalidRequest(field, "is not valid Unicode text (half a surrogate).") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequest(field, f"cannot be used as a folder ({reason}).") from error


def default_folder(start: Path) -> Path:
    """Return the nearest ``.workbench`` upwards from a folder, else a new one in it."""
    start = start.resolve()
    for folder in (start, *start.parents):
        candidate = folder / FOLDER_NAME
        # Somebody else's workspace further up (a shared /tmp, say) is not ours to open.
        if candidate.is_dir() and _is_ours(candidate):
            return candidate
    return start / FOLDER_NAME


def _is_ours(folder: Path) -> bool:
    if not hasattr(os, "geteuid"):
        return True
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def resolve_user(user: str | None) -> str:
    """Return the name under which rows are owned: given, WORKBENCH_USER, or the system user.

    Raises
    ------
    InvalidRequest
        If the name is empty, longer than 200 characters or has control characters.
    """
    if user is None:
        user = os.environ.get("WORKBENCH_USER") or _system_user()
    return check_name("user", user)


def switch(name: str, *, default: bool) -> bool:
    """Return what an environment variable says that is 0 or 1; unset or empty: `default`."""
    said = os.environ.get(name) or ("1" if default else "0")
    if said not in ("0", "1"):
        raise ConfigurationError(f"{name} must be 0 or 1, not {shown(said)}.")
    return said == "1"


def check_name(field: str, name: object) -> str:
    """Return `name` stripped if it can name a user or team, else raise InvalidRequest."""
    if not isinstance(name, str):
        raise InvalidRequest(field, f"must be text, not {type(name).__name__}.")
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise InvalidRequest(field, "must have 1 to 200 characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InvalidRequest(field, "must not have control characters.")
    return name


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container that runs under a uid without a name
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "local"


def host_name() -> str:
    """Return this machine's name (for the list of runners)."""
    return socket.gethostname()
