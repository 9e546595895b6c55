"""``with ws.budget(limit): ...`` refuses what would cost more than the limit inside the block."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
    image gives its part back.
    """

    def __init__(self, workspace: Handle, limit_micro: int, unit: str) -> None:
        self._workspace = workspace
        self._limit_micro = limit_micro
        self.unit = unit
        self._generations: set[str] = set()

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

    def _spent_micro(self) -> int:
        if not self._generations:
            return 0
        # Of the ledger, which knows deleted and purged images, too.
        _, rows = self._workspace._store.sql(
            "SELECT -sum(amount_micro) FROM ledger WHERE unit = ?"
            " AND generation_id IN (SELECT value FROM json_each(?))",
            (self.unit, json.dumps(sorted(self._generations))),
        )
        return int(rows[0][0] or 0)

    def covers(self, workspace: Handle) -> bool:
        """Tell whether what `workspace` spends counts here: same workspace, same user."""
        own = self._workspace
        return own._engine is workspace._engine and own.identity == workspace.identity

    def check(self, price: Price, n: int) -> None:
        """Raise BudgetExceeded if `n` images at `price` do not fit any more."""
        if price.unit != self.unit or price.amount_micro == 0:
            return
        cost = price.amount_micro * n
        spent = self._spent_micro()
        if spent + cost > self._limit_micro:
            raise BudgetExceeded(
                f"This would cost {amount_text(cost, self.unit)}, but only "
                f"{from_micro(self._limit_micro - spent)} of the budget of {self.limit} is left. "
                "Ask for fewer images or raise the limit."
            )

    def add(self, generation_ids: Iterable[str]) -> None:
        """Count images that were asked for inside the block."""
        self._generations.update(generation_ids)

    def __repr__(self) -> str:
        return f"<Budget {self.spent} of {self.limit} {self.unit}>"


# Budgets of the surrounding blocks, innermost last; a context variable keeps tasks apart.
current_budgets: ContextVar[tuple[Budget, ...]] = ContextVar("workbench_budgets", default=())


def budgets_of(workspace: Handle) -> list[Budget]:
    """Return the budgets of the surrounding blocks that `workspace` must keep to."""
    return [budget for budget in current_budgets.get() if budget.covers(workspace)]
