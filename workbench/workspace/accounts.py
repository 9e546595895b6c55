"""Tokens, prices and budgets of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import check_flag, check_whole, shown
from workbench.domain.limits import DAY_MS, day_start
from workbench.domain.money import TOKEN, USD, check_unit, from_micro, to_micro
from workbench.domain.records import Cap, Identity, LedgerEntry, Price
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
        """Return your bookings, oldest first; the balance is the sum of ``amount``.

        A booking of 0 with the reason "billed by the provider, amount not known" stands for an
        image of which neither the price list nor the provider said what it costs.
        """
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

    def set_cap(
        self,
        limit: Any,
        *,
        unit: str = USD,
        per: str = "day",
        topic: Any = None,
        user: str | None = None,
        all_users: bool = False,
    ) -> None:
        """Limit what may be spent from now on; what would go over it is refused before it costs.

        Where nobody knows what a provider bills, nothing can be counted: a cap of 0 keeps such a
        model out, a larger one does not fill with it (`Model.price.is_unknown` tells; the column
        not_known of `spend` counts).

        Parameters
        ----------
        limit:
            In `unit`; 0 allows nothing, None takes the cap away.
        unit:
            "USD" for what providers bill, "token" for tokens.
        per:
            "day" (of UTC) or "total".
        topic:
            Only in this topic; None: wherever it is spent.
        user:
            Whose spending; None: yours, or with `all_users` everybody's together.
        all_users:
            You act as the operator: needed for everybody's and for another user's.

        Raises
        ------
        InvalidRequest
            If an argument is wrong.
        NotAllowed
            If it is not yours to set.

        Examples
        --------
        >>> import tempfile, workbench as wb
        >>> with wb.open(tempfile.mkdtemp()) as ws:
        ...     ws.set_cap(5, per="day")
        ...     [(str(cap.limit), cap.unit, cap.per, str(cap.spent)) for cap in ws.caps()]
        [('5', 'USD', 'day', '0')]
        """
        if per not in ("day", "total"):
            raise InvalidRequest("per", f"must be 'day' or 'total', not {shown(per)}.")
        check_flag("all_users", all_users)
        micro = None if limit is None else to_micro(limit, field="limit", minimum=0)
        if topic is not None:
            if user is not None:
                raise InvalidRequest("user", "and topic are two caps; set one at a time.")
            scope, subject = "topic", self._needed_topic_id(topic)
        elif user is None and all_users:
            scope, subject = "everybody", ""
        else:
            scope, subject = "user", self.user if user is None else text("user", user)
        who = Identity(self.identity.user, self.identity.team, all_users=all_users)
        cap = Cap(scope, subject, check_unit(unit), per, micro or 0)
        self._store.set_cap(who, cap, remove=micro is None).result()

    def caps(self) -> list[Cap]:
        """Return the caps that bind you, each with what is spent of it."""
        return self._store.caps(self.identity)

    def spend(
        self, by: str = "day", *, days: int | None = None, all_users: bool = False
    ) -> pd.DataFrame:
        """Return what was spent, reserved amounts included.

        Parameters
        ----------
        by:
            day (of UTC), provider, model, topic or user.
        days:
            Only of the last so many days; None: ever.
        all_users:
            You act as the operator: everybody's.

        Returns
        -------
        pandas.DataFrame
            Index `by`; columns unit, spent (a Decimal in that unit), images, and not_known: how
            many of these were billed by the provider, amount not known. They are not in spent.

        Examples
        --------
        >>> import tempfile, workbench as wb
        >>> with wb.open(tempfile.mkdtemp()) as ws:
        ...     list(ws.spend("provider").columns)
        ['unit', 'spent', 'images', 'not_known']
        """
        check_flag("all_users", all_users)
        since = 0
        if days is not None:
            count = check_whole("days", days, low=1, high=36_500)
            since = day_start(self._engine.clock.now_ms()) - (count - 1) * DAY_MS
        who = Identity(self.identity.user, self.identity.team, all_users=all_users)
        return frames.spend_frame(by, self._store.spend(who, text("by", by), since_ms=since))

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
