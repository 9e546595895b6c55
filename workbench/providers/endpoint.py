"""Where a provider's server is, and the key that may go there."""

from __future__ import annotations

import os
from typing import ClassVar
from urllib.parse import urlsplit

from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, ProviderError
from workbench.ports import ProviderState
from workbench.providers import keys
from workbench.providers.addresses import check_base_url, origin_of
from workbench.providers.http import Line
from workbench.providers.redaction import Secret


class Endpoint:
    """Address and key of a provider, looked up anew for each request.

    Attributes
    ----------
    usual_name, title, help:
        The provider's usual name, and what people read.
    home:
        Its address where none is set; "": there is none.
    key_variables, address_variable:
        Variables of the environment that may hold the key, and the address.
    needs_key:
        Whether it takes nothing without one.
    key_domains:
        Other hosts of the provider that may get the key.

    Examples
    --------
    >>> class Example(Endpoint):
    ...     title, home = "Example", "https://api.example/v1"
    >>> example = Example("mine", key="0123456789")
    >>> example.base_url, example.key_place, example.state().ready
    ('https://api.example/v1', 'code', True)
    """

    usual_name: ClassVar[str] = ""
    title: str = ""
    help: str = ""
    home: ClassVar[str] = ""
    key_variables: ClassVar[tuple[str, ...]] = ()
    address_variable: ClassVar[str] = ""
    needs_key: bool = True
    key_domains: ClassVar[tuple[str, ...]] = ()
    _line: Line

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
    ) -> None:
        self.name = name or self.usual_name
        self._set_base_url: str | None = None
        self._base_url = base_url
        self._key = Secret(key) if isinstance(key, str) else key

    def state(self) -> ProviderState:
        """Ready where there is a key and an address that is one. It asks nobody."""
        try:
            self._base()
            key = self._usable_key()
        except ConfigurationError as error:
            return ProviderState(False, "error", str(error))
        if key is None and self.needs_key:
            return ProviderState(False, "key_missing", self._how_to_set())
        return ProviderState(True)

    @property
    def base_url(self) -> str:
        """Where its server is, as far as that can be said ("" if what was set is no address)."""
        try:
            return self._base()
        except ConfigurationError:
            return ""

    @property
    def key_place(self) -> str | None:
        """Where its key is: the name of a variable, "keyring", "file", "code"; None: nowhere."""
        if self._key is not None:
            return "code"
        return keys.place_of(self.name, self._own_variables())

    @property
    def answers(self) -> int:
        """How many of its requests were answered in this process, with whatever status."""
        return self._line.answers

    # -- what subclasses say ----------------------------------------------------------------------

    def _authorization(self, key: Secret) -> dict[str, str]:
        """Return the headers that carry the key."""
        return {"Authorization": f"Bearer {key.reveal()}"}

    # -- what subclasses use ----------------------------------------------------------------------

    def _address(self, path: str = "") -> str:
        """Return the base address and a path, or raise ProviderError where it is none."""
        try:
            return f"{self._base()}{path}"
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.BAD_REQUEST, str(error)) from None

    def _headers(self, url: str) -> dict[str, str | Secret]:
        """Return the headers with the key for an address; none where the key may not go."""
        try:
            key = self._usable_key()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.AUTH, str(error)) from None
        if key is None:
            if self.needs_key:
                raise ProviderError(
                    ErrorKind.AUTH, f"There is no key for {self.title}. {self._how_to_set()}"
                )
            return {}
        if not self._may_have_key(url):
            return {}
        # Secrets again: tracebacks can print what the frames between here and the client hold.
        return {name: Secret(value) for name, value in self._authorization(key).items()}

    def _own(self, url: object) -> str:
        """Return an address that the provider gave for asking again, if the key may go there.

        Raises
        ------
        ProviderError
            It may not: asking there would give the key away.
        """
        if not isinstance(url, str) or not self._may_have_key(url):
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} named an address that is not its own. Check "
                f"{self._line.address_hint}.",
                maybe_sent=True,
            )
        return url

    # -- inside -----------------------------------------------------------------------------------

    def _base(self) -> str:
        if self._base_url is not None:
            return check_base_url(self._base_url, "base_url")
        if self._set_base_url is not None:
            return self._set_base_url
        given = os.environ.get(self.address_variable) if self.address_variable else None
        return check_base_url(given or self.home, self.address_variable or "base_url")

    def _current_key(self) -> Secret | None:
        if self._key is not None:
            return self._key
        return keys.find(self.name, self._own_variables())

    def _own_variables(self) -> tuple[str, ...]:
        # A key of the environment goes to the provider, or to where that was set to: not to a
        # server that has a name and an address of its own.
        return self.key_variables if self._base_url is None else ()

    def _usable_key(self) -> Secret | None:
        key = self._current_key()
        if key is not None and not _may_be_sent(key):
            raise ConfigurationError(
                f"{self._key_hint()} has characters that no key has. Copy it again."
            )
        return key

    def _secrets(self) -> list[Secret]:
        try:
            key = self._current_key()
        except ConfigurationError:
            return []
        return [] if key is None else [key]

    def _key_hint(self) -> str:
        if self._key is not None or not self.key_variables:
            return "its key"
        try:
            kept = self.key_place in ("keyring", "file")
        except ConfigurationError:
            kept = False
        return "the key that was entered" if kept else self.key_variables[0]

    def _how_to_set(self) -> str:
        if self._base_url is not None or not self.key_variables:
            return "Give its key."
        return (
            f"Set the environment variable {self.key_variables[0]}, or enter the key with "
            f"jupyter workbench providers key {self.name}."
        )

    def _may_have_key(self, url: str) -> bool:
        if origin_of(url) == origin_of(self._base()):
            return True
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        return parts.scheme == "https" and any(
            host == domain or host.endswith(f".{domain}") for domain in self.key_domains
        )


def _may_be_sent(key: Secret) -> bool:
    """Tell whether a key has only characters that a header takes. Nothing is raised here."""
    text = key.reveal()
    return text.isascii() and text.isprintable() and " " not in text
