"""What callers hand in, checked before anything is written; every refusal is a sentence.

SQLite would take most of it and fail later or elsewhere: integers beyond 64 bits overflow, a lone
surrogate is no UTF-8, a NUL ends text inside SQL functions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.domain import arguments
from workbench.domain.ids import is_asset_id, is_id
from workbench.domain.records import Identity
from workbench.errors import InvalidRequest, NotFound
from workbench.store.sqlite.rows import to_json

MAX_TITLE_CHARACTERS = 300
MAX_TEXT_CHARACTERS = 10_000
MAX_NAME_CHARACTERS = 200
MAX_JSON_BYTES = 256 * 1024
MAX_PAGE = 500
_INT64 = 2**63


def check_identity(identity: Identity) -> Identity:
    """Return `identity` if it can own rows: a user name of 1–200 characters without NUL."""
    check_text("user", identity.user, limit=MAX_NAME_CHARACTERS, empty=False)
    if identity.team is not None:
        check_text("team", identity.team, limit=MAX_NAME_CHARACTERS, empty=False)
    return identity


def check_id(entity: str, id: object) -> str:
    """Return `id` if it can be an id; text that cannot is an id that is not here.

    Raises
    ------
        InvalidRequest: it is no text.
        NotFound: it is text of another form.
    """
    if not isinstance(id, str):
        raise InvalidRequest(entity, f"must be an id (text), not {type(id).__name__}.")
    if not is_id(id):
        raise NotFound(entity, _short(id))
    return id


def check_ids(entity: str, ids: Iterable[object], *, limit: int = 100_000) -> list[str]:
    """Return the ids as a list; each is checked as by `check_id`."""
    if isinstance(ids, (str, bytes)):
        raise InvalidRequest(f"{entity} ids", "must be a list of ids, not one text.")
    found = [check_id(entity, id) for id in ids]
    if len(found) > limit:
        raise InvalidRequest(f"{entity} ids", f"are {len(found)}; at most {limit} at once.")
    return found


def check_asset_id(id: object) -> str:
    """Return `id` if it can be an asset id (64 hex digits); else as `check_id`."""
    if not isinstance(id, str):
        raise InvalidRequest("asset", f"must be an id (text), not {type(id).__name__}.")
    if not is_asset_id(id):
        raise NotFound("asset", _short(id))
    return id


def _short(text: str) -> str:
    return text[:64].encode(errors="replace").decode()


def check_text(
    field: str, value: object, *, limit: int = MAX_TEXT_CHARACTERS, empty: bool = True
) -> str:
    """Return `value` if it is text that can be kept exactly: no NUL, no lone surrogate."""
    if not isinstance(value, str):
        raise InvalidRequest(field, f"must be text, not {type(value).__name__}.")
    if len(value) > limit:
        raise InvalidRequest(field, f"has {len(value)} characters; the limit is {limit}.")
    if not value and not empty:
        raise InvalidRequest(field, "must not be empty.")
    if "\0" in value:
        raise InvalidRequest(field, "must not contain a NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(field, "is not valid Unicode text (a lone surrogate).") from None
    return value


def check_optional_text(
    field: str, value: object, *, limit: int = MAX_TEXT_CHARACTERS
) -> str | None:
    """Return `value` if it is None or text as by `check_text`."""
    return None if value is None else check_text(field, value, limit=limit)


def check_title(field: str, value: object, *, empty: bool = False) -> str:
    r"""Return a title: control characters and spaces at the ends go, at most 300 characters stay.

    >>> check_title("title", " red\nfoxes ")
    'red foxes'
    """
    if not isinstance(value, str):
        raise InvalidRequest(field, f"must be text, not {type(value).__name__}.")
    # Cs: surrogates, Cc: controls. Line breaks part words, the others nothing.
    kept = (
        " " if character in "\t\n\r\v\f\x85" else character
        for character in value[: 100 * MAX_TITLE_CHARACTERS]
        if character in "\t\n\r\v\f\x85" or unicodedata.category(character) not in ("Cc", "Cs")
    )
    title = "".join(kept).strip()
    if len(title) > MAX_TITLE_CHARACTERS:
        raise InvalidRequest(
            field, f"has {len(title)} characters; the limit is {MAX_TITLE_CHARACTERS}."
        )
    if not title and not empty:
        raise InvalidRequest(field, "must not be empty.")
    return title


def shorten_title(value: str) -> str:
    """Return `value` as a title, cut where a given one would be refused."""
    return check_title("title", value[:MAX_TITLE_CHARACTERS], empty=True)


def check_whole(field: str, value: object, *, low: int, high: int) -> int:
    """Return `value` if it is a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(field, f"must be a whole number, not {type(value).__name__}.")
    if not low <= value <= high:
        raise InvalidRequest(field, f"must be from {low} to {high}.")
    return value


def check_optional_whole(
    field: str, value: object, *, low: int = -_INT64, high: int = _INT64 - 1
) -> int | None:
    """Return `value` if it is None or a whole number from `low` to `high` (64 bits)."""
    return None if value is None else check_whole(field, value, low=low, high=high)


def check_limit(value: object, *, high: int = MAX_PAGE) -> int:
    """Return the size of a page if it is from 1 to `high`."""
    return check_whole("limit", value, low=1, high=high)


def check_flag(field: str, value: object) -> bool:
    """Return `value` if it is True or False (1 and 0 are taken for them)."""
    if type(value) is int and value in (0, 1):
        return bool(value)
    return arguments.check_flag(field, value)


def check_choice(field: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        shown = ", ".join(repr(str(choice)) for choice in known)
        given = repr(_short(value)) if isinstance(value, str) else type(value).__name__
        raise InvalidRequest(field, f"{given} is not one of {shown}.")
    return str(value)


def check_json(field: str, value: object, *, limit: int = MAX_JSON_BYTES) -> str:
    """Return a mapping as JSON text of at most `limit` bytes."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(field, f"must be a mapping, not {type(value).__name__}.")
    return check_json_value(field, value, limit=limit)


def check_json_value(field: str, value: Any, *, limit: int = MAX_JSON_BYTES) -> str:
    """Return any JSON value as JSON text of at most `limit` bytes."""
    try:
        text = to_json(value)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest(
            field, "must consist of text, finite numbers, True, False, None, lists and mappings."
        ) from None
    if len(text.encode()) > limit:
        raise InvalidRequest(field, f"takes more than {limit} bytes as JSON.")
    return text
