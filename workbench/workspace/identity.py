"""Whose rows a process makes and sees.

The environment variable WORKBENCH_IDENTITY says how that is known:

``local`` (default)
    WORKBENCH_USER, else the system's user.
``jupyterhub``
    The hub's user name. It is a label inside that user's own server, not a proof.
``header``
    A trusted proxy in front of a Voilà server names the user in a header, and sends a secret in
    another one; ``[identity]`` in the settings file names both headers.
``anonymous``
    A visitor. Nobody is known when the process starts; the visitor's page says later, once, by a
    random token that only his browser keeps, whose rows he sees.

Whoever is named in Python (``workbench.open(user=…)``) is that user in every mode.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path

from workbench.domain.arguments import shown
from workbench.domain.parameters import closest
from workbench.domain.records import Identity
from workbench.errors import ConfigurationError, InvalidRequest, NotAllowed
from workbench.workspace.location import check_name, resolve_user
from workbench.workspace.settings import load_settings

MODES = ("local", "jupyterhub", "header", "anonymous")
MODE_VARIABLE = "WORKBENCH_IDENTITY"
SECRET_VARIABLE = "WORKBENCH_PROXY_SECRET"  # noqa: S105 - its name, not a secret

_SHORTEST_SECRET = 16
_TOKEN = re.compile(r"[0-9a-f]{32}")
_VISITOR = re.compile(r"visitor-[0-9a-f]{32}")

_NOBODY = (
    "No visitor is known yet, so nobody could own this. Do it once the page is open, or open the "
    "workspace for a user of your own: workbench.open(user=…)."
)
_NO_TOKEN = "This page does not say whose it is. Reload it."  # noqa: S105 - a sentence
_OTHER_TOKEN = "This page belongs to somebody else. Reload it."  # noqa: S105 - a sentence


class Visitor:
    """The one visitor that a process serves: unknown at first, and never another one later.

    The token itself is not kept: what is kept is the user name that is made from it.

    Examples
    --------
    >>> visitor = Visitor()
    >>> visitor.known
    False
    >>> visitor.recognise("0123456789abcdef" * 2)
    >>> visitor.known, visitor.user == user_of_token("0123456789abcdef" * 2)
    (True, True)
    """

    __slots__ = ("_lock", "_user", "known")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Random: who asks before the visitor came sees what everybody may see, and owns nothing.
        self._user = user_of_token(secrets.token_hex(16))
        self.known = False

    @property
    def user(self) -> str:
        """The name under which the visitor's rows are owned."""
        return self._user

    def recognise(self, token: object) -> None:
        """Take the token of a page: the first one says who the visitor is, others must agree.

        Raises
        ------
        NotAllowed
            It is no token, or somebody else's; nothing is changed then.
        """
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise NotAllowed(_NO_TOKEN)
        user = user_of_token(token)
        with self._lock:
            if not self.known:
                self._user = user
                self.known = True
            elif not hmac.compare_digest(user, self._user):
                raise NotAllowed(_OTHER_TOKEN)

    def renew_lock(self) -> None:
        """Begin with a free lock, in a forked child: a thread of the parent may have held it."""
        self._lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows a handle makes and sees.

    Attributes
    ----------
    given:
        Who that is; of a visitor the team alone counts.
    visitor:
        Followed, if it is one: the identity changes once, when the visitor is recognised.
    mode:
        How it is known; "local" for whoever was named in Python.
    """

    given: Identity
    visitor: Visitor | None = None
    mode: str = field(default="local", compare=False)

    @property
    def identity(self) -> Identity:
        """Who it is now."""
        if self.visitor is None:
            return self.given
        return Identity(self.visitor.user, self.given.team)

    @property
    def known(self) -> bool:
        """Whether that will not change any more."""
        return self.visitor is None or self.visitor.known

    @property
    def acting(self) -> Identity:
        """Who it is, to make or change something; NotAllowed while no visitor is known."""
        if not self.known:
            raise NotAllowed(_NOBODY)
        return self.identity


def resolve_owner(user: str | None, team: str | None, folder: Path) -> Owner:
    """Return the owner for a workspace that is being opened.

    Parameters
    ----------
    user, team:
        As they were given in Python, or None.
    folder:
        Of the workspace; its settings name the headers.

    Raises
    ------
    InvalidRequest
        If a name is empty, longer than 200 characters or has control characters.
    ConfigurationError
        If WORKBENCH_IDENTITY is no mode, or the mode's way to know the user does not work here.
        There is no other user to fall back to.
    """
    checked = None if team is None else check_name("team", team)
    if user is not None:
        return Owner(Identity(check_name("user", user), checked))
    mode = identity_mode()
    if mode == "anonymous":
        return Owner(Identity("", checked), _visitor, mode)
    if mode == "jupyterhub":
        user = _outside_name("JUPYTERHUB_USER", os.environ.get("JUPYTERHUB_USER", ""))
    elif mode == "header":
        user = _user_of_proxy(folder)
    else:
        user = resolve_user(None)
    return Owner(Identity(user, checked), None, mode)


def identity_mode() -> str:
    """Return what WORKBENCH_IDENTITY says; ConfigurationError for anything unknown."""
    mode = os.environ.get(MODE_VARIABLE) or "local"
    if mode not in MODES:
        near = closest(mode, MODES)
        hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(MODES)}."
        raise ConfigurationError(f"{MODE_VARIABLE} is {shown(mode)}. {hint}")
    return mode


def user_of_token(token: str) -> str:
    """Return the user name of the visitor who has this token; it does not give the token away."""
    digest = hashlib.sha256(f"workbench-visitor:{token}".encode()).hexdigest()
    return f"visitor-{digest[:32]}"


def header_variable(header: str) -> str:
    """Return the environment variable in which Voilà hands over a header of the page's request.

    >>> header_variable("X-Forwarded-User")
    'HTTP_X_FORWARDED_USER'
    """
    return f"HTTP_{header.upper().replace('-', '_')}"


def _user_of_proxy(folder: Path) -> str:
    secret = os.environ.get(SECRET_VARIABLE, "")
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"{MODE_VARIABLE}=header needs a secret that only the proxy knows: set "
            f"{SECRET_VARIABLE} to at least {_SHORTEST_SECRET} characters, and let the proxy send "
            "it with every request."
        )
    settings = load_settings(folder)
    said = os.environ.get(header_variable(settings.identity_secret_header), "")
    # Bytes: a header may hold anything.
    if not hmac.compare_digest(said.encode(errors="replace"), secret.encode(errors="replace")):
        raise ConfigurationError(
            f"The request did not bring the proxy's secret in {settings.identity_secret_header}. "
            "Let the proxy set that header, name it in Voilà's http_header_envs, keep no kernels "
            "preheated, and let nobody reach Voilà but through the proxy."
        )
    name = settings.identity_header
    if header_variable(name) == header_variable(settings.identity_secret_header):
        raise ConfigurationError(f"The user's name and the proxy's secret both come in {name}.")
    user = os.environ.get(header_variable(name), "")
    if "," in user:  # how two headers of one name arrive
        raise ConfigurationError(
            f"{name} names more than one user. The proxy must remove what visitors send under "
            "that name before it sets its own."
        )
    return _outside_name(name, user)


def _outside_name(source: str, user: str) -> str:
    try:
        user = check_name("user", user)
    except InvalidRequest as error:
        raise ConfigurationError(
            f"{source} must name the user ({MODE_VARIABLE}={identity_mode()}): {error.message}"
        ) from None
    if _VISITOR.fullmatch(user):
        raise ConfigurationError(f"{source} must not be a name that visitors have.")
    return user


_visitor = Visitor()  # of this process

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_visitor.renew_lock)
