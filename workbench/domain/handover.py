"""What a piece of work came to, on its way to whoever waits for it in another thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """The end of a piece of work, whatever it is: kept until `settle` hands it over.

    Nothing else can be done with an error: it is raised where somebody waits, interrupts included,
    which would end the wrong thread here.

    Parameters
    ----------
    work:
        Is done at once.
    readable:
        Returns what is handed over for an error; by default the error itself.

    Attributes
    ----------
    failed:
        Whether the work raised something.

    Examples
    --------
    >>> future = Future()
    >>> ending = Handover(lambda: 6 * 7)
    >>> ending.failed, future.done()
    (False, False)
    >>> ending.settle(future)
    >>> future.result()
    42
    """

    def __init__(
        self,
        work: Callable[[], T],
        *,
        readable: Callable[[BaseException], BaseException] = lambda error: error,
    ) -> None:
        self._tell: Callable[[Future[T]], None] | None
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - border "runner task": raised where it is waited for
            # In no variable of this frame, which the error keeps: they would keep one another.
            self._tell = partial(_fail, error=readable(error))
            self.failed = True
        else:
            self._tell = lambda future: future.set_result(value)
            self.failed = False

    def settle(self, future: Future[T]) -> None:
        """Give it to the future that stands for it, once."""
        tell, self._tell = self._tell, None  # an error must not keep its own frames
        if tell is not None:
            tell(future)


def _fail(future: Future[Any], error: BaseException) -> None:
    future.set_exception(error)
