"""The part of the SQLite store about money: bookings, balances, prices, caps."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from concurrent.futures import Future
from operator import attrgetter
from typing import TYPE_CHECKING

from workbench.domain.records import Cap, Identity, LedgerEntry, Price, Spent
from workbench.errors import NotAllowed
from workbench.store.sqlite import caps, ledger, prices, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.database import Database


class MoneyOperations:
    """Mixin of the SQLite store; the methods are those of `workbench.ports.Store`."""

    database: Database

    def grant(
        self, identity: Identity, account: str, unit: str, amount_micro: int, reason: str
    ) -> Future[LedgerEntry]:
        """See `prices.grant`."""
        return self.database.write(
            lambda tx: prices.grant(tx, identity, account, unit, amount_micro, reason), full=True
        )

    def balances(self, account: str) -> dict[str, int]:
        """Return the balances of an account in micro-units, by unit."""
        with self.database.reading() as reader:
            return prices.balances(reader, account)

    def ledger(self, identity: Identity, *, account: str | None = None) -> Iterator[LedgerEntry]:
        """Iterate over the bookings of an account (default: one's own; the operator's: all).

        Raises
        ------
            NotAllowed: somebody else's account.
        """
        if account is None and not identity.all_users:
            account = identity.user
        if account is None:
            return self._bookings(None, None)
        validate.check_text("account", account, limit=validate.MAX_NAME_CHARACTERS)
        if account != identity.user and not identity.all_users:
            raise NotAllowed(f"The account {account!r} belongs to somebody else.")
        # Bookings are indexed by account and unit; an account has one or two.
        units = [self._bookings(account, unit) for unit in self.balances(account)]
        return heapq.merge(*units, key=attrgetter("seq"))

    def _bookings(self, account: str | None, unit: str | None) -> Iterator[LedgerEntry]:
        after = 0
        while True:
            with self.database.reading() as reader:
                found = ledger.page(reader, account, unit, after)
            if not found:
                return
            yield from found
            after = found[-1].seq

    def set_price(
        self, identity: Identity, model: str, unit: str, amount_micro: int
    ) -> Future[Price]:
        """See `prices.set_price`."""
        return self.database.write(
            lambda tx: prices.set_price(tx, identity, model, unit, amount_micro), full=True
        )

    def tell_providers(self, name: str) -> Future[None]:
        """See `prices.tell_providers`."""
        return self.database.write(lambda tx: prices.tell_providers(tx, name))

    def set_cap(self, identity: Identity, cap: Cap, *, remove: bool = False) -> Future[None]:
        """See `caps.set_cap`."""
        return self.database.write(
            lambda tx: caps.set_cap(tx, identity, cap, remove=remove), full=True
        )

    def caps(self, identity: Identity) -> list[Cap]:
        """See `caps.caps`."""
        with self.database.reading() as reader:
            return caps.caps(reader, identity, self.database.now_ms())

    def spend(self, identity: Identity, by: str, *, since_ms: int = 0) -> list[Spent]:
        """See `caps.spend`."""
        with self.database.reading() as reader:
            return caps.spend(reader, identity, by, since_ms)

    def prices(self) -> dict[str, Price]:
        """See `prices.prices`."""
        with self.database.reading() as reader:
            return prices.prices(reader)
