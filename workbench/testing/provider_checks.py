"""What a provider may say: checks of its models, references and events, in sentences.

Each check raises `Breach` with what is wrong and what to do about it. The suite that uses them is
`workbench.testing.provider_contract`.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from workbench.domain.jobs import (
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Partial,
    Queued,
    Running,
)
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.status import ErrorKind, Operation
from workbench.errors import ImageRejected, InvalidRequest, ProviderError
from workbench.ports import Provider, ProviderState

MAX_PREVIEW_BYTES = 256_000
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
STATES = ("ready", "key_missing", "package_missing", "unreachable", "error")
# Keywords of ``generate``: a parameter of the same name could not be given.
TAKEN = frozenset(
    ("prompt", "model", "n", "seed", "negative_prompt", "references", "source", "mask")
) | frozenset(("operation", "topic", "params", "priority", "client_key", "force"))
_SENTENCE = re.compile(r"\w.*[.!?…](?:\s|$)", re.DOTALL)
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNIT = re.compile(r"[A-Za-z]{1,16}")
_MOST_TEXT = 2_000
_OF_A_PROVIDER = frozenset(ErrorKind) - {
    *(ErrorKind.UNKNOWN_OUTCOME, ErrorKind.DISK_FULL, ErrorKind.POISON, ErrorKind.INTERNAL)
}
_INPUT_OPERATIONS = frozenset({Operation.EDIT, Operation.INPAINT, Operation.VARIATION})


class Breach(AssertionError):
    """A provider does not keep the contract; the text says where, and what to do."""


def expect(holds: object, wrong: str, instead: str) -> None:
    """Raise Breach unless `holds`: what is wrong, and what would be right."""
    __tracebackhide__ = True
    if not holds:
        raise Breach(f"{wrong}\n  -> {instead}")


# -- texts ----------------------------------------------------------------------------------------


def check_sentence(text: object, what: str) -> None:
    """Check a text that people read: a sentence without control characters or tracebacks."""
    __tracebackhide__ = True
    expect(isinstance(text, str) and text.strip(), f"{what} is {text!r}.", "Write a sentence.")
    words = str(text)
    expect(
        _SENTENCE.search(words) is not None,
        f"{what} is no sentence: {words!r}.",
        "People read it: say what happened and what to do, and end with a full stop.",
    )
    expect(
        all(sign.isprintable() or sign == "\n" for sign in words),
        f"{what} has control characters: {words!r}.",
        "Pass what others said through workbench.providers.redaction.plain().",
    )
    expect(
        "Traceback (most recent" not in words and len(words) <= _MOST_TEXT,
        f"{what} is too long for people ({len(words)} characters).",
        "Say it in a sentence; details go into a Log event.",
    )


def check_no_secret(secrets: Iterable[str], texts: Iterable[str]) -> None:
    """Check that none of the keys is in any of the texts, not even the most of it."""
    __tracebackhide__ = True
    everything = list(texts)
    for secret in secrets:
        # Providers shorten keys: "sk-abcd…wxyz" still gives most of it away.
        part = secret[: max(8, 2 * len(secret) // 3)]
        for text in everything:
            expect(
                part not in text,
                f"A key is in a text: {text.replace(secret, '<the key>')[:300]!r}",
                "Keys belong in headers only. Keep them in workbench.providers.redaction.Secret, "
                "and clean what a server said with plain(text, secrets).",
            )


def texts_of(thing: object) -> list[str]:
    """Return every text in a provider, model, reference, event or error, however deep."""
    if isinstance(thing, BaseException):
        return [
            *traceback.format_exception(thing),
            *(repr(value) for value in vars(thing).values()),
        ]
    if isinstance(thing, ImageReady):
        fields = (thing.prompt_sent, thing.detail_key, thing.detail_args, thing.unit)
        return [repr(field) for field in fields]
    if isinstance(thing, Partial):
        return []
    return [repr(thing)]


# -- what a provider is ---------------------------------------------------------------------------


def check_protocol(provider: object) -> None:
    """Check that everything of `workbench.ports.Provider` is there."""
    __tracebackhide__ = True
    expect(
        not isinstance(provider, type),
        f"{provider!r} is a class.",
        "Return an instance: make_provider() returns MyProvider(), not MyProvider.",
    )
    names = [name for name in _protocol_names() if getattr(provider, name, None) is None]
    expect(
        not names,
        f"{type(provider).__name__} has no {', '.join(names)}.",
        "Add it; workbench.ports.Provider lists everything, workbench.domain.jobs explains it.",
    )
    for name in ("submit", "cancel", "lookup", "close"):
        function = getattr(provider, name)
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        expect(
            code is None or code.co_flags & 0x80,
            f"{name}() is no coroutine function.",
            f"Write `async def {name}`.",
        )


def _protocol_names() -> list[str]:
    described = vars(Provider)
    methods = [name for name in described if not name.startswith("_")]
    return sorted({*Provider.__annotations__, *methods})


def check_limits(provider: Any) -> None:
    """Check idempotency, concurrency and deadline."""
    __tracebackhide__ = True
    policy = provider.idempotency
    expect(
        isinstance(policy, IdempotencyPolicy) and isinstance(policy.kind, Idempotency),
        f"idempotency is {policy!r}.",
        "Use workbench.domain.jobs.FREE where a picture costs nothing and may be made again, else "
        "IdempotencyPolicy(Idempotency.KEYED | LOOKUP | NONE).",
    )
    expect(
        policy.kind is not Idempotency.KEYED or policy.retention_s > 0,
        "idempotency is KEYED and retention_s is 0: no key would ever be sent again.",
        "Say for how many seconds the service remembers a key.",
    )
    expect(
        policy.kind is not Idempotency.LOOKUP or policy.quiet_s > 0,
        "idempotency is LOOKUP and quiet_s is 0.",
        "Say after how many seconds a job that arrived is sure to be found.",
    )
    expect(
        isinstance(provider.concurrency, int) and provider.concurrency >= 1,
        f"concurrency is {provider.concurrency!r}.",
        "Say how many jobs may run at once over all processes: a whole number from 1 on.",
    )
    expect(
        isinstance(provider.deadline_s, int | float)
        and math.isfinite(provider.deadline_s)
        and provider.deadline_s > 0,
        f"deadline_s is {provider.deadline_s!r}.",
        "Say after how many seconds a job has certainly failed: a finite number above 0.",
    )


def check_state(state: object) -> None:
    """Check what a provider says about whether it can be used here."""
    __tracebackhide__ = True
    if not isinstance(state, ProviderState):
        raise Breach(f"state() returned {state!r}.\n  -> Return workbench.ports.ProviderState.")
    expect(
        state.code in STATES and (state.code == "ready") is state.ready,
        f"state() says ready={state.ready} with the code {state.code!r}.",
        f"The codes are {', '.join(STATES)}; 'ready' belongs to ready=True and to nothing else.",
    )
    if not state.ready:
        check_sentence(state.message, "The message of state()")


# -- models ---------------------------------------------------------------------------------------


def check_models(provider: Provider, models: Sequence[object]) -> None:
    """Check the list of models as a whole, then each of them."""
    __tracebackhide__ = True
    names: dict[str, str] = {}
    for model in models:
        if not isinstance(model, Model):
            raise Breach(f"models() has {model!r}.\n  -> Return workbench.domain.parameters.Model.")
        expect(
            model.provider == provider.name and model.id == f"{provider.name}:{model.name}",
            f"The model {model.id!r} of provider {model.provider!r} has the name {model.name!r}.",
            f"Its provider is {provider.name!r}, and its id '<provider>:<name>'.",
        )
        for name in (model.id, *model.aliases):
            expect(
                name not in names,
                f"{name!r} stands for {names.get(name)!r} and for {model.id!r}.",
                "Ids and aliases are unique.",
            )
            names[name] = model.id
        check_model(provider, model)


def check_model(provider: Provider, model: Model) -> None:
    """Check that one model is described as panel, ledger and engine need it."""
    __tracebackhide__ = True
    expect(model.title.strip(), f"{model.id} has no title.", "Give it one that people know.")
    check_sentence(model.help, f"The help of {model.id}")
    expect(
        model.max_images >= 1 and model.max_references >= 0,
        f"{model.id} has max_images={model.max_images}, max_references={model.max_references}.",
        "max_images is the most that one request asks for (from 1 on), max_references from 0 on.",
    )
    expect(
        model.operations and Operation.IMPORT not in model.operations,
        f"{model.id} has the operations {model.operations!r}.",
        "Say what it does: generate, edit, inpaint, variation, upscale.",
    )
    expect(
        ("width" in model.parameters) is ("height" in model.parameters),
        f"{model.id} has only one of width and height.",
        "Where a size can be chosen, both are parameters; else leave both out.",
    )
    expect(
        provider.idempotency.kind is not Idempotency.FREE or not model.price.by_provider,
        f"{model.id} has a price that is billed, and idempotency is FREE.",
        "What is FREE is made again after a crash. Declare KEYED, LOOKUP or NONE.",
    )
    for name, parameter in model.parameters.items():
        check_parameter(f"{model.id}: parameter {name!r}", name, parameter)
    try:
        model.check(model.defaults())
    except InvalidRequest as error:
        raise Breach(f"A default of {model.id} is refused by the model itself: {error}") from error


def check_parameter(what: str, name: str, parameter: object) -> None:
    """Check one parameter of a model."""
    __tracebackhide__ = True
    if not isinstance(parameter, Parameter):
        raise Breach(f"{what} is {parameter!r}.\n  -> Use workbench.domain.parameters.Parameter.")
    expect(
        _PARAMETER_NAME.fullmatch(name) is not None,
        f"{what} cannot be typed in Python.",
        "Its name is a-z, 0-9 and _, beginning with a letter.",
    )
    expect(
        name not in TAKEN,
        f"{what} has the name of a keyword of generate().",
        "What every model has comes in the request (request.prompt, slot.seed); call yours "
        "something else.",
    )
    low, high = parameter.minimum, parameter.maximum
    expect(
        low is None or high is None or low <= high,
        f"{what} has a minimum above its maximum.",
        "Exchange them.",
    )
    if parameter.kind is ParameterKind.CHOICE:
        expect(
            parameter.choices and len(set(map(repr, parameter.choices))) == len(parameter.choices),
            f"{what} is a choice without choices, or with one twice.",
            "List each value once in `choices`.",
        )
    if name in ("width", "height"):
        expect(
            parameter.kind is ParameterKind.INTEGER,
            f"{what} is no whole number.",
            "Sizes are in pixels; where there are a few only, call the parameter 'size'.",
        )
    try:
        json.dumps([parameter.default, list(parameter.choices)], allow_nan=False)
    except (TypeError, ValueError):
        raise Breach(f"{what} has values that are not JSON.\n  -> They go to a page.") from None


# -- jobs -----------------------------------------------------------------------------------------


def check_ref(ref: object) -> JobRef:
    """Check what `submit` gave; returns it as another process reads it from the store."""
    __tracebackhide__ = True
    if not isinstance(ref, JobRef):
        raise Breach(f"submit() returned {ref!r}.\n  -> Return a JobRef (JobRef() without an id).")
    id: Any = ref.remote_id
    expect(
        id is None or (isinstance(id, str) and id),
        f"The reference has the id {id!r}.",
        "An id is text that is not empty; None where the service gives none.",
    )
    expect(
        ref.remote_id is not None or not ref.resumable,
        "The reference is resumable and has no id.",
        "resumable=True says that any process can follow the job by this reference.",
    )
    try:
        data = json.loads(json.dumps(dict(ref.data), allow_nan=False))
    except (TypeError, ValueError):
        raise Breach(
            f"The reference's data is not plain JSON: {ref.data!r}\n"
            "  -> It is stored in a database: text, numbers, lists and objects only."
        ) from None
    expect(
        data == ref.data,
        f"The reference's data comes back from JSON as something else: {data!r}",
        "Use text as keys, and lists instead of tuples.",
    )
    return JobRef(ref.remote_id, ref.resumable, data)


def check_events(request: JobRequest, events: Sequence[object]) -> list[ImageReady]:
    """Check a whole stream of events; returns its pictures in the order of the slots."""
    __tracebackhide__ = True
    asked = {slot.index: slot for slot in request.slots}
    pictures: dict[int, ImageReady] = {}
    for place, event in enumerate(events):
        check_event(event, asked)
        expect(
            not isinstance(event, Done) or place == len(events) - 1,
            f"Done was followed by {events[-1]!r}.",
            "Done is the last event: whatever comes later is not looked at.",
        )
        if isinstance(event, ImageReady):
            expect(
                event.index not in pictures,
                f"Slot {event.index} got two pictures.",
                "Each slot gets one ImageReady. A sketch on the way is a Partial; a picture too "
                "many is named in a Log.",
            )
            pictures[event.index] = event
    missing = sorted(asked.keys() - pictures.keys())
    expect(
        not missing,
        f"No picture came for slot {missing} of {sorted(asked)}.",
        "Send ImageReady for every slot of request.slots, with the slot's own index. Success "
        "without a picture is no success: raise ProviderError(ErrorKind.BLOCKED, …).",
    )
    for index, slot in asked.items():
        seed: Any = pictures[index].seed
        expect(
            seed is None or (isinstance(seed, int) and not isinstance(seed, bool)),
            f"The seed of slot {index} is {seed!r}.",
            f"Say the seed that was used as a whole number ({slot.seed!r} was asked for), or None.",
        )
    return [pictures[slot.index] for slot in request.slots]


def check_event(event: object, asked: Mapping[int, Any]) -> None:
    """Check one event by itself."""
    __tracebackhide__ = True
    if not isinstance(event, JobEvent):
        raise Breach(
            f"events() gave {event!r}.\n"
            "  -> Events are Queued, Running, Partial, Log, ImageReady and Done."
        )
    index = getattr(event, "index", None)
    expect(
        index is None or index in asked,
        f"{type(event).__name__} is about slot {index}, which was not asked for: {sorted(asked)}.",
        "Use slot.index of request.slots: after a partial failure only some are asked for.",
    )
    if isinstance(event, Queued):
        expect(
            event.position is None or event.position >= 1,
            f"Queued has the position {event.position}.",
            "1 is who is next; None where the service does not say.",
        )
    elif isinstance(event, Running):
        expect(
            0 <= event.step <= (event.step if event.total is None else event.total),
            f"Running is at step {event.step} of {event.total}.",
            "Steps go from 0 to the total; total=None where it is not known.",
        )
    elif isinstance(event, Partial):
        check_image(event.data, f"The preview of slot {event.index}")
        expect(
            len(event.data) <= MAX_PREVIEW_BYTES,
            f"A preview has {len(event.data):,} bytes.",
            f"Make it smaller: at most {MAX_PREVIEW_BYTES:,}.",
        )
    elif isinstance(event, ImageReady):
        check_image(event.data, f"The picture of slot {event.index}")
        check_cost(event.cost, event.unit)
        _check_json(event.detail_args, "detail_args of ImageReady")
    elif isinstance(event, Done):
        check_cost(event.cost, event.unit)
        _check_json(event.usage, "usage of Done")
    elif isinstance(event, Log):
        expect(isinstance(event.text, str), f"Log has {event.text!r}.", "A remark is text.")
        _check_json(event.args, "args of Log")


def _check_json(value: object, what: str) -> None:
    __tracebackhide__ = True
    try:
        json.dumps(dict(value), allow_nan=False)  # type: ignore[call-overload] # or it raises
    except (TypeError, ValueError):
        raise Breach(f"{what} is not plain JSON: {value!r}\n  -> It is stored.") from None


def check_cost(cost: object, unit: object) -> None:
    """Check what a provider says it charged."""
    __tracebackhide__ = True
    if cost is None:
        return
    expect(
        isinstance(cost, Decimal) and cost.is_finite() and cost >= 0,
        f"A cost is {cost!r}.",
        "Use Decimal, made from text and never from a float: Decimal('0.04').",
    )
    expect(
        isinstance(unit, str) and _UNIT.fullmatch(unit),
        f"A cost has the unit {unit!r}.",
        "Say what was charged: unit='USD'. Without one the amount is not booked.",
    )


def check_image(data: object, what: str) -> None:
    """Check that bytes begin like a picture of a format that the workspace takes."""
    __tracebackhide__ = True
    expect(
        isinstance(data, bytes),
        f"{what} is {type(data).__name__}.",
        "Give the encoded picture as bytes, as the service sent it.",
    )
    start = bytes(data[:16]) if isinstance(data, bytes) else b""
    known = start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
    expect(
        known or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"),
        f"{what} begins with {start!r}.",
        "PNG, JPEG, WebP and GIF are taken. Decode base64 first; an error page is no picture.",
    )


def check_error(error: BaseException, *, expected: ErrorKind | None = None) -> None:
    """Check what a provider raised."""
    __tracebackhide__ = True
    if isinstance(error, (InvalidRequest, ImageRejected)):
        kind = ErrorKind.BAD_IMAGE if isinstance(error, ImageRejected) else ErrorKind.BAD_REQUEST
        check_sentence(str(error), f"The text of {type(error).__name__}")
    elif isinstance(error, ProviderError):
        kind = error.kind
        check_sentence(str(error), f"The text of ProviderError({kind})")
        expect(
            kind in _OF_A_PROVIDER,
            f"An error has the kind {kind!r}.",
            "Yours are auth, quota, rate_limit, blocked, bad_request, "
            "transient, bad_image and unavailable.",
        )
    else:
        raise Breach(
            f"{type(error).__name__} escaped: {error}\n"
            "  -> Raise ProviderError(ErrorKind.…, 'a sentence'): anything else is taken for a "
            "bug, and a paid job for one with an unknown outcome."
        ) from error
    expect(
        expected is None or kind is expected,
        f"The error is {kind.value!r} and should be {getattr(expected, 'value', '')!r}: {error}",
        "Read the service's status and code, and choose the kind by them.",
    )


def needs_input(operation: Operation) -> bool:
    """Tell whether an operation begins with a picture."""
    return operation in _INPUT_OPERATIONS or operation is Operation.UPSCALE
