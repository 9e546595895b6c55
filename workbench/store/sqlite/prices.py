"""Grants, balances and the prices of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.domain.money import check_unit
from workbench.domain.records import Identity, LedgerEntry, Price
from workbench.errors import NotAllowed
from workbench.store.sqlite import feed, ledger, queries, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction

_MAX_AMOUNT = 10**18  # micro-units


def grant(  # noqa: PLR0917 - as in the port
    tx: Transaction, identity: Identity, account: str, unit: str, amount_micro: int, reason: str
) -> LedgerEntry:
    """Add to one's own account, or as operator to anybody's.

    Raises
    ------
        NotAllowed: somebody else's account.
        InvalidRequest: the amount is not above 0, or too large.
    """
    validate.check_identity(identity)
    validate.check_text("account", account, limit=validate.MAX_NAME_CHARACTERS, empty=False)
    check_unit(unit)
    validate.check_whole("amount", amount_micro, low=1, high=_MAX_AMOUNT)
    validate.check_text("reason", reason, limit=1_000)
    if account != identity.user and not identity.all_users:
        raise NotAllowed(f"The account {account!r} belongs to somebody else.")
    return ledger.grant(tx, account=account, unit=unit, amount_micro=amount_micro, reason=reason)


def balances(source: Querying, account: str) -> dict[str, int]:
    """Return the balances of an account in micro-units, by unit."""
    validate.check_text("account", account, limit=validate.MAX_NAME_CHARACTERS)
    found = source.all(queries.sql("ledger.balances"), (account,))
    return {row["unit"]: row["amount_micro"] for row in found}


def set_price(
    tx: Transaction, identity: Identity, model: str, unit: str, amount_micro: int
) -> Price:
    """Set the price per image of a model from now on; earlier versions stay on record."""
    validate.check_identity(identity)
    validate.check_text("model", model, limit=validate.MAX_NAME_CHARACTERS, empty=False)
    check_unit(unit)
    validate.check_whole("amount", amount_micro, low=0, high=_MAX_AMOUNT)
    version = tx.scalar(
        queries.sql("ledger.insert_price"),
        {
            "model": model,
            "unit": unit,
            "amount_micro": amount_micro,
            "set_by": identity.user,
            "now": tx.now,
        },
    )
    feed.record(
        tx,
        "price",
        model,
        "insert" if version == 1 else "update",
        version,
        {"unit": unit, "amount_micro": amount_micro, "version": version},
        visibility="workspace",
    )
    return Price(unit=unit, amount_micro=amount_micro, version=version)


def tell_providers(tx: Transaction, name: str) -> None:
    """Write a change that says: look again which models there are."""
    feed.record(tx, "provider", name, "update", 1, {}, visibility="workspace")


def prices(source: Querying) -> dict[str, Price]:
    """Return the price in force of each model that has one."""
    return {
        row["model"]: Price(
            unit=row["unit"], amount_micro=row["amount_micro"], version=row["version"]
        )
        for row in source.all(queries.sql("ledger.prices"))
    }
