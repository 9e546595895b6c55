"""``with ws.budget(limit): ...`` refuses what would cost more than the limit inside the block."""

from __future__ import annotations

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
        self._batches: list[tuple[str, Price]] = []

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
        spent = 0
        for batch_id, price in self._batches:
            for record in self._workspace._store.batch_generations(
                self._workspace.identity, batch_id, history=True
            ):
                if not record.status.is_terminal:
                    spent += price.amount_micro
                elif record.unit == self.unit:
                    spent += record.cost_micro
        return spent

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

    def add(self, batch_id: str, price: Price) -> None:
        """Count a batch that was submitted inside the block."""
        if price.unit == self.unit and all(batch_id != known for known, _ in self._batches):
            self._batches.append((batch_id, price))

    def __repr__(self) -> str:
        return f"<Budget {self.spent} of {self.limit} {self.unit}>"


# Budgets of the surrounding blocks, innermost last; a context variable keeps tasks apart.
current_budgets: ContextVar[tuple[Budget, ...]] = ContextVar("workbench_budgets", default=())
