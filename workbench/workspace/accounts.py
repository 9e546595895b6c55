"""Tokens, prices and budgets of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.domain.money import TOKEN, check_unit, from_micro, to_micro
from workbench.domain.records import LedgerEntry, Price
from workbench.errors import InvalidRequest
from workbench.workspace import frames
from workbench.workspace.budget import Budget, current_budgets
from workbench.workspace.handle import Handle, text

if TYPE_CHECKING:
    import pandas as pd


_LONGEST_REASON = 1000


class Accounts(Handle):
    """The part of a workspace that books."""

    @property
    def balance(self) -> Decimal:
        """Tokens that you have left, reservations already taken off."""
        return self.balances().get(TOKEN, Decimal(0))

    def balances(self) -> dict[str, Decimal]:
        """Return what is left in each unit."""
        return {unit: from_micro(micro) for unit, micro in self._store.balances(self.user).items()}

    def grant(self, amount: Any, reason: str = "", unit: str = TOKEN) -> LedgerEntry:
        """Add an amount (more than 0) to your account."""
        micro = to_micro(amount, minimum=1)
        if len(text("reason", reason)) > _LONGEST_REASON:
            raise InvalidRequest("reason", "must be text of at most 1,000 characters.")
        store = self._store
        entry: LedgerEntry = store.grant(
            self._acting, self.user, check_unit(unit), micro, reason
        ).result()
        return entry

    def ledger(self) -> pd.DataFrame:
        """Return your bookings, oldest first; the balance is the sum of ``amount``."""
        return frames.ledger_frame(self._store.ledger(self.identity, account=self.user))

    def budget(self, limit: Any, unit: str = TOKEN) -> AbstractContextManager[Budget]:
        """Refuse, inside the block, whatever would make it cost more than `limit`.

        Examples
        --------
        >>> import tempfile, workbench as wb
        >>> with wb.open(tempfile.mkdtemp()) as ws, ws.budget(limit=500) as budget:
        ...     budget.remaining
        Decimal('500')
        """
        self._check_open()
        return _inside(Budget(self, to_micro(limit, field="limit", minimum=0), check_unit(unit)))

    def set_price(self, model: str, amount: Any, unit: str = TOKEN) -> Price:
        """Set what an image of a model costs from now on; kept in the workspace."""
        store = self._store
        micro = to_micro(amount, minimum=0)
        found = self._engine.registry.model(model)
        price: Price = store.set_price(self.identity, found.id, check_unit(unit), micro).result()
        return price


@contextmanager
def _inside(budget: Budget) -> Iterator[Budget]:
    token = current_budgets.set((*current_budgets.get(), budget))
    try:
        yield budget
    finally:
        current_budgets.reset(token)
