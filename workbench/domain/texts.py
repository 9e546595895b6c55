"""Texts shown to people, looked up by key, so that the store keeps keys and arguments only."""

from __future__ import annotations

from collections.abc import Mapping

# Keys of `detail` (what is happening to a generation right now, or a remark on its result).
DETAILS: Mapping[str, str] = {
    "outcome_unknown": "outcome_unknown",
    "paused": "paused",
    "uploading": "uploading references",
    "provider_queue": "provider queue #{position}",
    "retrying": "retrying in {seconds} s ({reason})",
    "restarted": "started again after its worker ended (attempt {attempt})",
    "resumed": "resumed after its worker ended",
    "waiting_for_provider": "waiting until {provider} is ready again",
    "waiting_for_disk": "waiting for free disk space",
    "waiting_for_folder": "waiting until the picture can be stored: look at the workspace's folder",
    "not_understood": "not understood: {words}",
    "step": "step {step} of {total}",
    "log": "{text}",
    "cached": "taken from an earlier identical request",
    "settled_by_person": "marked as made and charged by hand",
}

ERRORS: Mapping[str, str] = {
    "poison": "It ended its worker {deaths} times and was stopped. Change the request or retry it.",
    "unavailable": "{model} is not available here. Choose another model.",
    "internal": "{provider} failed unexpectedly ({error}). The event log says more; retry it.",
    "disk_full": "There was no disk space left for the picture. Free some space and retry.",
    "bad_image": "{provider} sent something that is not a usable picture: {reason}",
    "no_image": "{provider} ended without a picture. Retry, or change the request.",
    "unknown_outcome": "Whether {provider} made and charged it is not known; it was given up.",
    "deadline": "{provider} did not finish within {seconds} s. Retry, or ask for less.",
    "stalled": "Nothing was heard of {provider} for {seconds} s. Retry it.",
    "provider": "{text}",
}


def detail_text(key: str | None, arguments: Mapping[str, object]) -> str:
    """Return the text for a detail key; unknown keys are shown as they are.

    >>> detail_text("provider_queue", {"position": 3})
    'provider queue #3'
    """
    return _fill(DETAILS, key, arguments)


def error_text(key: str, arguments: Mapping[str, object]) -> str:
    """Return the sentence for an error key; unknown keys are shown as they are."""
    return _fill(ERRORS, key, arguments)


def _fill(table: Mapping[str, str], key: str | None, arguments: Mapping[str, object]) -> str:
    if key is None:
        return ""
    template = table.get(key)
    if template is None:
        return key
    try:
        return template.format_map(arguments)
    except (KeyError, IndexError, ValueError):
        # A row written by another version may lack an argument: the key still says something.
        return key
