"""The providers of a workspace: what they offer, what is missing, and what can be set."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

from workbench.domain.parameters import Model
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, NotAllowed, ProviderError, WorkbenchError
from workbench.ports import Provider
from workbench.providers import keys, own_settings
from workbench.providers.redaction import Secret, Unframed
from workbench.workspace.handle import Handle, text
from workbench.workspace.plugins import ProviderInfo

_TEST_S = 20.0
_REFRESH_S = 120.0

_log = logging.getLogger(__name__)


def _warn(line: str, trace: str) -> None:
    _log.warning("%s\n%s", line, trace)


async def ask(
    provider: Provider,
    what: str,
    within_s: float,
    *,
    note: Callable[[str, str], object] = _warn,
) -> str:
    """Let a provider "test" or "refresh" itself; returns its sentence.

    What it raises comes from here: a traceback can print the local variables of its frames, and
    whoever speaks HTTP has a key in some of them.

    Parameters
    ----------
    provider, what:
        Who does what.
    within_s:
        How long it may take.
    note:
        Is given a line and the traceback of a bug, without texts of its errors.

    Raises
    ------
    InvalidRequest
        It cannot do that.
    ProviderError
        It went wrong; the text says what to look at.
    """
    work = getattr(provider, what, None)
    if work is None:
        raise InvalidRequest("provider", f"{provider.title} has nothing to {what}.")

    def sentence(error: BaseException) -> BaseException:
        if isinstance(error, WorkbenchError) or not isinstance(error, Exception):
            return error
        if isinstance(error, TimeoutError):
            text = f"{provider.title} did not answer within {within_s:.0f} s."
            return ProviderError(ErrorKind.TRANSIENT, text)
        # A bug. Its text may hold anything.
        kind, lines = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        note(f"The {what} of {provider.name} failed ({kind}).", lines)
        return ProviderError(ErrorKind.INTERNAL, f"{provider.title} failed ({kind}).")

    with Unframed(sentence):
        async with asyncio.timeout(within_s):
            await asyncio.to_thread(provider.state)  # it may read its key from a disk
            return str(await work())


async def ask_once(provider: Provider, what: str) -> str:
    """As `ask`, for a program that does nothing else."""
    try:
        return await ask(provider, what, _REFRESH_S)
    finally:
        await provider.close()


class Providers(Handle):
    """The part of a workspace that looks after providers."""

    def providers(self) -> list[ProviderInfo]:
        """Return every provider with its state: ready, or what is missing."""
        self._check_open()
        return self._engine.registry.infos()

    def models(self) -> list[Model]:
        """Return every model with its parameters and price."""
        self._check_open()
        return self._engine.registry.models()

    def model(self, name: str) -> Model:
        """Return one model by id ("builtin:sketch") or alias ("sketch")."""
        self._check_open()
        return self._engine.registry.model(name)

    def add_provider(self, provider: Provider) -> None:
        """Add a provider to this process's engine (installed plugins are there by themselves)."""
        self._check_open()
        self._engine.registry.add(provider)
        self._told(provider.name)

    # -- setting them up --------------------------------------------------------------------------

    def test_provider(self, name: str) -> str:
        """Ask a provider's server something that costs nothing; returns a sentence.

        Raises
        ------
        InvalidRequest
            There is no such provider, or it has nothing to ask for.
        ProviderError
            It did not answer, or not well; the text says what to look at.

        Examples
        --------
        ::

            ws.test_provider("openai")      # 'OpenAI answered; 23 models.'
        """
        return self._asked(name, "test", _TEST_S)

    def refresh_provider(self, name: str) -> str:
        """Read anew which models a provider has and what they cost; returns a sentence.

        Raises
        ------
        InvalidRequest, ProviderError
            As `test_provider`.
        """
        sentence = self._asked(name, "refresh", _REFRESH_S)
        self._told(name)
        return sentence

    def _asked(self, name: str, what: str, within_s: float) -> str:
        self._may_set_up()
        provider = self._engine.registry.provider(name)
        self._engine.check_may_block()
        before = getattr(provider, "answers", None)
        try:
            asking = ask(provider, what, within_s, note=self._note)
            sentence = self._engine.loop.submit(asking).result()
        except ProviderError as error:
            after = getattr(provider, "answers", None)
            if error.kind is ErrorKind.TRANSIENT and before == after:
                # It did not so much as refuse. Until something is heard of it, people see that.
                self._engine.registry.heard(provider, error.message)
                self._told(name)
            raise
        if self._engine.registry.heard(provider):
            self._told(name)
        return sentence

    def _note(self, line: str, trace: str) -> None:
        self._store.log("error", "plugin", line, data={"traceback": trace})

    def set_key(self, name: str, key: str) -> str:
        """Keep a provider's key for you, in the system's keyring or else a file of yours alone.

        It is in no workspace, and nothing gives it back. Better type it where it is not saved:
        ``jupyter workbench providers key NAME``, or the provider's settings in the widget.

        Returns
        -------
        str
            "keyring" or "file".
        """
        # At once: the frames of an error would show it to whoever has their variables printed.
        given, kind = _hidden(key), type(key).__name__
        del key
        self._may_set_up()
        self._engine.registry.provider(name)
        if given is None:
            raise InvalidRequest("key", f"must be text, not {kind}.")
        place = keys.keep(name, given)
        self._told(name)
        return place

    def forget_key(self, name: str) -> str | None:
        """Remove a key that was kept, so that it is used no more.

        Returns
        -------
        str or None
            "removed"; "keyring" if the system's keyring did not delete it, and it may still be
            there; None if there was none.
        """
        self._may_set_up()
        place = keys.forget(text("name", name))
        if place == "keyring":
            self._store.log("warning", "plugin", f"{name}: {keys.LEFT}")
        self._told(name)
        return place

    def set_provider(self, name: str, *, base_url: Any = None, concurrency: Any = None) -> None:
        """Use another address of a provider, or make more of its jobs at once; here and for later.

        Parameters
        ----------
        name:
            The provider's.
        base_url:
            Where its server is; None: as it comes.
        concurrency:
            Jobs at once, 1 to 64; None: as it comes.
        """
        self._may_set_up()
        self._engine.registry.configure(name, own_settings.checked(base_url, concurrency))
        self._told(name)

    def _told(self, name: str) -> None:
        """Tell pages that models may have changed, and jobs that may have waited for them."""
        self._store.tell_providers(name).result()

    @property
    def may_set_providers(self) -> bool:
        """True unless you are a visitor, or this is the page of an app: keys are the operator's."""
        return self._limits is None and not keys.is_page()

    @property
    def may_spend(self) -> bool:
        """True unless you are a visitor who may not use what providers bill to the operator."""
        return self._limits is None or self._limits.usd_per_day != 0

    @property
    def may_spend_unknown(self) -> bool:
        """True unless you are a visitor with a limit in USD, which needs prices that are known."""
        return self._limits is None or self._limits.usd_per_day is None

    def _may_set_up(self) -> None:
        self._check_open()
        if not self.may_set_providers:
            raise NotAllowed("Providers are set up by whoever runs this.")


def _hidden(key: object) -> Secret | None:
    return Secret(key) if isinstance(key, str) else None
