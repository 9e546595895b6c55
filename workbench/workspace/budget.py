"""``with ws.budget(limit): ...`` refuses what would cost more than the limit inside the block."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.domain.money import amount_text, from_micro
from workbench.domain.records import Price
from workbench.errors import BudgetExceeded

if TYPE_CHECKING:
    from workbench.workspace.handle import Handle


class Budget:
    """What may be and was spent in a block; amounts are Decimals in `unit`.

    Spent is what completed images cost plus what is reserved for those that still run: a failed
    image gives its part back. A waiting image from outside that is edited in the block counts with
    what it became dearer.
    """

    def __init__(self, workspace: Handle, limit_micro: int, unit: str) -> None:
        self._workspace = workspace
        self._limit_micro = limit_micro
        self.unit = unit
        # Id -> what was reserved for it before it came into the block.
        self._generations: dict[str, int] = {}
        # Threads and tasks of one block share it: from the look at what is left until what was
        # asked for is counted it belongs to one of them. A signal handler may come in between.
        self._turn = threading.RLock()

    @property
    def limit(self) -> Decimal:
        """What may be spent."""
        return from_micro(self._limit_micro)

    @property
    def spent(self) -> Decimal:
        """What was spent or is reserved."""
        return from_micro(self._spent_micro())

    @property
    def remaining(self) -> Decimal:
        """What is left."""
        return from_micro(self._limit_micro - self._spent_micro())

    def _spent_micro(self, without: str | None = None) -> int:
        counted = {id: before for id, before in self._generations.items() if id != without}
        if not counted:
            return 0
        # Of the ledger, which knows deleted and purged images, too.
        _, rows = self._workspace._store.sql(
            "SELECT generation_id, -sum(amount_micro) FROM ledger WHERE unit = ?"
            " AND generation_id IN (SELECT value FROM json_each(?)) GROUP BY generation_id",
            (self.unit, json.dumps(sorted(counted))),
        )
        return sum(max(0, int(booked) - counted[id]) for id, booked in rows)

    def covers(self, workspace: Handle) -> bool:
        """Tell whether what `workspace` spends counts here: same workspace, same user."""
        own = self._workspace
        return own._engine is workspace._engine and own.identity == workspace.identity

    def check(self, price: Price, n: int, *, without: str | None = None) -> None:
        """Raise BudgetExceeded if `n` images at `price` do not fit any more.

        Where the price is not known before, a budget that is used up stops them.

        Parameters
        ----------
        price, n:
            What one costs, and how many there are.
        without:
            Id of an image whose reservation is given back when they are made.
        """
        self._check(price, price.amount_micro * n, self._spent_micro(without))

    def check_edit(self, generation_id: str, old: Price, new: Price) -> None:
        """Raise BudgetExceeded if a waiting image that gets the price `new` does not fit."""
        reserved = old.amount_micro if old.unit == self.unit else 0
        if new.unit == self.unit and 0 < new.amount_micro <= reserved:
            return
        before = self._generations.get(generation_id, reserved)
        self._check(new, max(0, new.amount_micro - before), self._spent_micro(generation_id))

    def _check(self, price: Price, cost: int, spent: int) -> None:
        if price.unit != self.unit or price.is_free:
            return
        unknown = price.amount_micro == 0
        if spent + cost > self._limit_micro or (unknown and spent >= self._limit_micro):
            what = "an amount not known before" if unknown else amount_text(cost, self.unit)
            raise BudgetExceeded(
                f"This would cost {what}, but only "
                f"{from_micro(max(0, self._limit_micro - spent))} of the budget of {self.limit} is "
                "left. Ask for fewer images or raise the limit."
            )

    def add(self, generation_ids: Iterable[str]) -> None:
        """Count images that were asked for inside the block."""
        for id in generation_ids:
            self._generations.setdefault(id, 0)

    def add_edit(self, generation_id: str, old: Price) -> None:
        """Count an image that was edited inside the block: what is more than was reserved."""
        reserved = old.amount_micro if old.unit == self.unit else 0
        self._generations.setdefault(generation_id, reserved)

    def __repr__(self) -> str:
        return f"<Budget {self.spent} of {self.limit} {self.unit}>"


# Budgets of the surrounding blocks, innermost last; a context variable keeps tasks apart.
current_budgets: ContextVar[tuple[Budget, ...]] = ContextVar("workbench_budgets", default=())


def budgets_of(workspace: Handle) -> list[Budget]:
    """Return the budgets of the surrounding blocks that `workspace` must keep to."""
    return [budget for budget in current_budgets.get() if budget.covers(workspace)]


@contextmanager
def in_turn(workspace: Handle) -> Iterator[list[Budget]]:
    """Give the budgets of `workspace`, so that no other thread spends of them meanwhile.

    Check, ask and count inside. Nested blocks are entered in the same order by every thread, so
    that two can never wait for each other.
    """
    with ExitStack() as turns:
        budgets = budgets_of(workspace)
        for budget in budgets:
            turns.enter_context(budget._turn)
        yield budgets
