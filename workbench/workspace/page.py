"""A page of results with the cursor of the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, newest first unless asked otherwise; `next_cursor` is None at the end."""

    items: Sequence[T]
    next_cursor: str | None
    _bundle: Callable[[Sequence[T]], dict[str, str]] | None = field(
        default=None, repr=False, compare=False
    )

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self._bundle is None:
            return {"text/plain": repr(self)}
        return self._bundle(self.items)
