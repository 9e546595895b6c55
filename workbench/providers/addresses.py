"""Addresses of providers: what may be set as one, and where a key may go."""

from __future__ import annotations

from urllib.parse import urlsplit

from workbench.errors import ConfigurationError


def check_base_url(url: str, name: str) -> str:
    """Return a base address without the slash at its end, or raise ConfigurationError.

    Parameters
    ----------
    url:
        As it was set.
    name:
        Where it was set ("OPENAI_BASE_URL").

    >>> check_base_url(" https://api.example/v1/ ", "EXAMPLE_URL")
    'https://api.example/v1'
    """
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable():
        raise ConfigurationError(
            f"{name} is no address; it must begin with https:// or http:// and name a server."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} must be an address without user name, password, '?' and '#'."
        )
    return text


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address: what decides whether a key may go there.

    What is no address has none that is like another's: its own text stands for it.

    >>> origin_of("https://Api.example/v1"), origin_of("https://a:b")[0]
    (('https', 'api.example', 443), '')
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", url, None
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port or default
