"""The limits of visitors, checked inside the transaction that makes the new images.

Transactions of all processes come one after the other, so two requests at the same instant cannot
both take the last place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.domain.limits import VisitorLimits, day_start, is_visitor
from workbench.domain.money import amount_text, to_micro
from workbench.domain.records import Price
from workbench.errors import LimitReached
from workbench.store.sqlite.queries import sql

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying

_FREE = Price()


def check(
    source: Querying,
    limits: VisitorLimits | None,
    user: str,
    n: int,
    price: Price = _FREE,
    *,
    now: int,
) -> None:
    """Raise LimitReached if a visitor may not have `n` images more now.

    Parameters
    ----------
    source:
        the transaction that will make them, or a look at what it would find.
    limits:
        None: there are none.
    user:
        who will own them; whoever is no visitor has no limits.
    n:
        how many.
    price:
        what one of them costs. What a provider bills is the operator's money.
    now:
        UTC milliseconds.
    """
    if limits is None or not is_visitor(user):
        return
    if 0 in (limits.images_per_day, limits.unfinished, limits.queue):
        raise LimitReached("Visitors cannot make images here.")
    check_money(source, limits, user, price, n, now=now)
    if limits.images_per_day is not None:
        _check_day(images_made(source, user, day_start(now)), n, limits.images_per_day)
    if limits.unfinished is not None:
        have = int(source.scalar(sql("visitors.unfinished"), {"user": user}))
        _check_unfinished(have, n, limits.unfinished)
    if limits.queue is not None:
        _check_queue(int(source.scalar(sql("visitors.queue"))), n, limits.queue)


def images_made(source: Querying, user: str, since: int) -> int:
    """Return how many images of a visitor count from a time (UTC ms) on.

    Those on their way count, failed and cancelled ones do not, nor do imports.
    """
    return int(source.scalar(sql("visitors.made"), {"user": user, "since": since}))


def check_money(
    source: Querying,
    limits: VisitorLimits | None,
    user: str,
    price: Price,
    n: int,
    *,
    now: int,
    already_micro: int = 0,
) -> None:
    """Raise LimitReached if a visitor may not spend `n` times `price` of the operator's money.

    Parameters
    ----------
    source, limits, user, price, n, now:
        as for `check`.
    already_micro:
        what is reserved for them and counts as spent.
    """
    if limits is None or not is_visitor(user) or not price.by_provider:
        return
    most = limits.usd_per_day
    if most is None:
        return
    if most == 0:
        raise LimitReached(
            "This model costs real money and is not for visitors here. Choose another one."
        )
    if price.is_unknown:
        # Nothing would ever fill the limit, and it is somebody else's money.
        raise LimitReached(
            "Nobody knows before what this model costs, so that it cannot be kept within the "
            f"{amount_text(to_micro(most), price.unit)} a day that are the limit here. Choose "
            "another one."
        )
    values = {"unit": price.unit, "user": user, "topic": None, "since": day_start(now)}
    spent = int(source.scalar(sql("caps.day"), values))
    need = price.amount_micro * n - already_micro
    if spent + need > to_micro(most) or spent >= to_micro(most):
        raise LimitReached(
            f"Your pictures of today have cost {amount_text(spent, price.unit)}, and "
            f"{amount_text(to_micro(most), price.unit)} a day is the limit here. Ask for fewer, "
            "choose another model, or come back after midnight (UTC)."
        )


def _check_day(have: int, n: int, most: int) -> None:
    if have >= most:
        raise LimitReached(
            f"You have made {_images(have)} today, which is the limit here. "
            "It starts anew at midnight (UTC)."
        )
    if have + n > most:
        raise LimitReached(
            f"You can make {_images(most - have, 'more ')} today, and asked for {n}. "
            "The limit starts anew at midnight (UTC)."
        )


def _check_unfinished(have: int, n: int, most: int) -> None:
    still = f"{have} of your images {'is still on its' if have == 1 else 'are still on their'} way"
    if have >= most:
        raise LimitReached(f"{still}; wait for one of them to finish.")
    if n > most:
        raise LimitReached(f"At most {_images(most)} can be made at once here; ask for fewer.")
    if have + n > most:
        raise LimitReached(f"{still}, and {most} at once is the limit here; ask for fewer.")


def _check_queue(have: int, n: int, most: int) -> None:
    if n > most:
        raise LimitReached(f"At most {_images(most)} can wait here at once; ask for fewer.")
    if have + n > most:
        fewer = "ask for fewer, or " if have < most and n > 1 else ""
        verb = "is" if have == 1 else "are"
        raise LimitReached(
            f"{_images(have)} of all visitors {verb} waiting here; {fewer}try again in a minute."
        )


def _images(count: int, which: str = "") -> str:
    return f"{count} {which}{'image' if count == 1 else 'images'}"
