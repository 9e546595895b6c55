"""Messages from a page arrive although a cell runs: the reply route of our comms is pinned.

The only module that patches its host. ipykernel 7.4 sends a message from the page to the subshell
from which the kernel last *published* on that comm; a background thread publishes as the running
cell, so clicks end up waiting for the cell. It asks ``comm._reply_subshell_for(data, default)`` for
the subshell: on our comms this method is replaced by one that names a subshell of our own. All
widgets of a kernel process share it (it runs callbacks only, which never wait), it is made with the
first message and ends with the kernel.

It is a private name, so everything is done with care:

- Where it is missing (ipykernel 6 and 7.0 to 7.3, other hosts, no kernel), or where there are no
  subshells, nothing is touched: the page's own subshell (JupyterLab) or the main thread serves.
- A wrong answer would make the comm deaf. The pin notes what it routes and what arrives; as long as
  nothing has, whoever uses it is told of the doubt, asks the page for an echo, and gives the pin up
  if that stays silent. What one comm has shown holds for all others of the process. What comes on
  our subshell after that was only late: all pins that were given up are made again.
- A subshell that somebody deleted is replaced.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from typing import Any

from workbench.domain.border import asked

ECHO_AFTER_S = 0.4  # a routed message that has not arrived: ask for an echo
ECHO_WITHIN = 8  # times that

_METHOD = "_reply_subshell_for"

# Per manager of subshells (one in a process, but for tests) the id of ours. Only the kernel's shell
# channel thread reads and writes it.
_subshells: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
# Per manager whether what was routed has arrived, once that is known.
_known: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
# The engine's thread, the kernel's shell channel thread and our subshell change what is known, the
# states of pins, and this: the pins of a manager that had to go, or were never made. (Re-entrant: a
# widget that is collected may be closed in the middle of it.)
_lock = threading.RLock()
_given_up: weakref.WeakKeyDictionary[Any, weakref.WeakSet[Pin]] = weakref.WeakKeyDictionary()


class Pin:
    """The pinned route of one comm.

    Parameters
    ----------
    comm:
        The comm of the widget, or None.
    on_doubt:
        Called on the kernel's shell channel thread when a message was routed and it is not known
        yet whether routed messages arrive; must be quick and not raise.
    on_failure:
        Called on that thread with what asking for the subshell raised; the pin is undone then.

    Attributes
    ----------
    state:
        "none" (nothing to pin here), "pinned", "proven" (routed messages arrive) or "undone".
    """

    def __init__(
        self,
        comm: Any,
        on_doubt: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.state = "none"
        self._comm = comm
        self._on_doubt = on_doubt
        self._on_failure = on_failure
        self._routed = 0
        self._manager = _manager_of(comm)
        if self._manager is not None:
            with _lock:
                if _known.get(self._manager, True):
                    self._make("proven" if self._manager in _known else "pinned")
                else:
                    self._keep_given_up()

    def arrived(self) -> bool:
        """Note that a message came through to the callback, on the calling thread.

        Returns
        -------
        bool
            True where that shows that the route was given up too early: it is there again.
        """
        with _lock:
            found = _given_up.get(self._manager, ()) if self._manager is not None else ()
            if self in found and is_own_thread():
                for pin in list(found):
                    pin._make("proven")
                _given_up.pop(self._manager)
                _known[self._manager] = True
                return True
            if self.in_doubt():
                self.state = "proven"
                _known[self._manager] = True
            return False

    def in_doubt(self) -> bool:
        """Tell whether messages were routed and none has arrived so far."""
        return self.state == "pinned" and self._routed > 0

    async def prove(self, ask_for_echo: Callable[[], None]) -> bool:
        """Give a routed message time to arrive; if none does, undo the pin, and make no other.

        Parameters
        ----------
        ask_for_echo:
            Asks the page to say something.
        """
        # In short steps: code that stops all threads for seconds costs one of them only.
        for step in range(ECHO_WITHIN):
            await asyncio.sleep(ECHO_AFTER_S)
            if not self.in_doubt():
                return True
            if step == 0:
                ask_for_echo()
        with _lock:
            if not self.in_doubt():
                return True  # it came just now
            _known[self._manager] = False
            self._undo()
            self._keep_given_up()
        return False

    def undo(self) -> None:
        """Give the comm its own route back for good. Safe to call twice, from any thread."""
        with _lock:
            if self._manager is not None:
                _given_up.get(self._manager, weakref.WeakSet()).discard(self)
            self._undo()

    def _make(self, state: str) -> None:
        setattr(self._comm, _METHOD, self._route)
        self.state = state

    def _keep_given_up(self) -> None:
        _given_up.setdefault(self._manager, weakref.WeakSet()).add(self)

    def _undo(self) -> None:
        if self.state in ("pinned", "proven"):
            self.state = "undone"
            # Deleted, and not set back: the class's own method is below.
            vars(self._comm).pop(_METHOD, None)

    def _route(self, *args: Any, **kwargs: Any) -> Any:
        """Stand in for ``comm._reply_subshell_for(data, default)``."""
        default = args[1] if len(args) > 1 else kwargs.get("default")
        if self.state == "undone":
            return default

        def route() -> Any:
            subshell = _own_subshell(self._manager)
            if self.state == "pinned" and not _is_of_the_host(args):
                self._routed += 1
                self._on_doubt()
            return subshell

        def failed(error: Exception) -> Any:
            self.undo()
            self._on_failure(error)
            return default

        # The kernel's inner things, which are its own to change: its message must arrive anyhow.
        return asked(route, failed)


def _is_of_the_host(args: tuple[Any, ...]) -> bool:
    # ipywidgets' own messages (a state is asked for) arrive as well, but nobody notes that.
    data = args[0] if args else None
    return isinstance(data, dict) and data.get("method") in ("request_state", "update")


def is_own_thread() -> bool:
    """Tell whether the calling thread is our subshell (there may be none)."""
    name = threading.current_thread().name
    return any(name == f"subshell-{id}" for id in list(_subshells.values()))


def _manager_of(comm: Any) -> Any:
    """Return the kernel's manager of subshells if it can and should be used for `comm`."""
    if not hasattr(comm, _METHOD) or not hasattr(comm, "__dict__"):
        return None
    kernel = getattr(comm, "kernel", None) or _kernel()
    if not getattr(kernel, "_supports_kernel_subshells", False):
        return None
    # `manager` would make one, on the main thread only: a running kernel has it.
    manager = getattr(getattr(kernel, "shell_channel_thread", None), "_manager", None)
    known = hasattr(manager, "_create_subshell") and hasattr(manager, "list_subshell")
    return manager if known else None


def _kernel() -> Any:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def _own_subshell(manager: Any) -> str:
    """Return the id of our subshell, made anew if there is none (any more).

    Runs where the kernel routes messages: on its shell channel thread, the one that may do this.
    """
    subshell = _subshells.get(manager)
    if subshell is None or subshell not in manager.list_subshell():
        subshell = str(manager._create_subshell())
        _subshells[manager] = subshell
    return subshell
