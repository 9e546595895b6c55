"""Setting providers up from a page: what is missing, a test, address, jobs at once, and a key.

A key goes one way: from its field into the keyring. It is in no answer, no trait and no log, and
no operation gives it back. Visitors and pages of Voilà may do nothing of this (`NotAllowed`).
"""

from __future__ import annotations

from typing import Any

from workbench.errors import NotAllowed
from workbench.widgets.operations.context import Answer, Context
from workbench.workspace.plugins import KEY_LEFT


def providers(context: Context, args: dict[str, Any]) -> Answer:  # noqa: ARG001 - as every operation
    """Return every provider with all that its settings show, and the models as they are now.

    Where servers are, and which variables have keys, is told to nobody else either.
    """
    if not context.workspace.may_set_providers:
        raise NotAllowed("Providers are set up by whoever runs this.")
    return _now(context)


def provider_test(context: Context, args: dict[str, Any]) -> Answer:
    """Ask a provider's server something that costs nothing."""
    return Answer({"message": context.workspace.test_provider(args["name"])})


def provider_refresh(context: Context, args: dict[str, Any]) -> Answer:
    """Read a provider's models and prices anew."""
    message = context.workspace.refresh_provider(args["name"])
    return _now(context, message)


def provider_set(context: Context, args: dict[str, Any]) -> Answer:
    """Set address and jobs at once; what is not given is as it came."""
    context.workspace.set_provider(
        args["name"], base_url=args.get("base_url"), concurrency=args.get("concurrency")
    )
    return _now(context)


def provider_key(context: Context, args: dict[str, Any]) -> Answer:
    """Keep a key; the answer says where, and nothing of the key."""
    place = context.workspace.set_key(args["name"], args["key"])
    return _now(context, place)


def provider_forget(context: Context, args: dict[str, Any]) -> Answer:
    """Remove a key that was kept; the answer says so where the keyring did not delete it."""
    place = context.workspace.forget_key(args["name"])
    return _now(context, KEY_LEFT if place == "keyring" else "")


def _now(context: Context, message: str = "") -> Answer:
    rows = context.rows()
    return Answer(
        {
            "providers": rows.provider_settings(),
            "models": rows.models(),
            "may_set": rows.may_set_providers(),
            "message": message,
        }
    )
