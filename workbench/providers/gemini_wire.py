"""Requests and answers of Google's Gemini API: pictures by content, by interactions, by Imagen.

Names of fields are those of the official Python SDK (google-genai 3.4.0). Three ways lead there:

- ``generateContent``: parts in, parts out; the picture is one of them, drafts are called thoughts.
- ``interactions``: the same models with an id that can be asked for later.
- ``predict``: Imagen, which Google has switched off; servers that still speak it may be named.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.providers.asking import objects_in
from workbench.providers.failures import Said
from workbench.providers.gemini_tokens import NO_TOKENS, Tokens, tokens_of

_SEED_BITS = 2**31 - 1  # the API takes a signed 32-bit number

# Ends without a picture that are worth one more try: the model chose to write instead, or slipped.
ASK_AGAIN = frozenset({"NO_IMAGE", "IMAGE_OTHER", "MALFORMED_RESPONSE"})
BLOCKS = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "JAILBREAK",
        "ESCALATION",
    }
)
_OTHER_ENDS = {
    "PUP_LIMITED_DISABLED": ErrorKind.AUTH,
    "LANGUAGE": ErrorKind.BAD_REQUEST,
    "MAX_TOKENS": ErrorKind.BAD_REQUEST,
}
# Parts that are known and hold no picture; one of another kind may.
_WITHOUT_PICTURE = frozenset(
    {"thought", "thoughtSignature", "functionCall", "executableCode", "codeExecutionResult"}
)
_SEEN_AS_BLOCK = re.compile(r"(?i)safety|prohibited|recitation|blocklist|content.policy|moderat")

Given = tuple[str, bytes]  # MIME type and content of an image that goes in


# -- requests -------------------------------------------------------------------------------------


def seed_sent(seed: int | None) -> int | None:
    """Return the seed as the API takes it (31 bits), or None."""
    return None if seed is None else seed & _SEED_BITS


def content_body(
    request: JobRequest, slot: Slot, send: Mapping[str, Any], images: Sequence[Given]
) -> dict[str, JsonValue]:
    """Return the body of ``generateContent`` for one picture. It encodes: use a thread.

    Parameters
    ----------
    request, slot:
        What is asked for.
    send:
        The data file's, for this model.
    images:
        The images that go in, in their order.
    """
    params = request.params
    parts: list[JsonValue] = [{"text": request.prompt}]
    for mime, content in images:
        parts.append({"inlineData": {"mimeType": mime, "data": _encoded(content)}})
    config: dict[str, JsonValue] = {"responseModalities": ["TEXT", "IMAGE"]}
    shape = _chosen(params, aspectRatio="aspect_ratio", imageSize="image_size")
    if shape:
        config["imageConfig"] = shape
    seed = seed_sent(slot.seed)
    if seed is not None:
        config["seed"] = seed
    thinking: dict[str, JsonValue] = {}
    if wants_drafts(params, send):
        thinking["includeThoughts"] = True
    if params.get("thinking"):
        thinking["thinkingLevel"] = str(params["thinking"]).upper()
    if thinking:
        config["thinkingConfig"] = thinking
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def interaction_body(
    request: JobRequest, slot: Slot, images: Sequence[Given]
) -> dict[str, JsonValue]:
    """Return the body of an interaction that runs in the background. It encodes: use a thread."""
    params = request.params
    given: list[JsonValue] = [{"type": "text", "text": request.prompt}]
    for mime, content in images:
        given.append({"type": "image", "data": _encoded(content), "mime_type": mime})
    shape = _chosen(params, aspect_ratio="aspect_ratio", image_size="image_size")
    body: dict[str, JsonValue] = {
        "model": request.model,
        "input": [{"type": "user_input", "content": given}],
        "response_format": {"type": "image", **shape},
        "background": True,
        "store": True,
    }
    config: dict[str, JsonValue] = {}
    seed = seed_sent(slot.seed)
    if seed is not None:
        config["seed"] = seed
    if params.get("thinking"):
        config["thinking_level"] = params["thinking"]
    if config:
        body["generation_config"] = config
    return body


def predict_body(request: JobRequest, count: int) -> dict[str, JsonValue]:
    """Return the body of Imagen's ``predict`` for `count` pictures."""
    shape = _chosen(request.params, aspectRatio="aspect_ratio", sampleImageSize="image_size")
    parameters: dict[str, JsonValue] = {"sampleCount": count, **shape, "includeRaiReason": True}
    return {"instances": [{"prompt": request.prompt}], "parameters": parameters}


def wants_drafts(params: Mapping[str, JsonValue], send: Mapping[str, Any]) -> bool:
    """Tell whether drafts are to be sent as they come."""
    return bool(send.get("drafts")) and params.get("drafts") is not False


def _chosen(params: Mapping[str, JsonValue], **names: str) -> dict[str, JsonValue]:
    """Return what was chosen, by the API's names; "auto" is what it does by itself."""
    return {
        theirs: params[ours]
        for theirs, ours in names.items()
        if params.get(ours) not in (None, "auto")
    }


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


# -- answers --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reading:
    """An answer as it is read, chunk by chunk or at once.

    Attributes
    ----------
    pictures:
        finished ones.
    reason:
        why it ended ("" while it has not).
    prompt_blocked:
        the prompt was refused, before anything was made.
    words:
        what the model wrote besides, or instead.
    answered:
        it has something in its list of candidates, whatever that is.
    strange:
        it has a part that is not known here, which may be a picture.
    tokens:
        what it took, as far as it says.
    about:
        ids worth keeping.
    """

    pictures: list[bytes] = field(default_factory=list)
    reason: str = ""
    prompt_blocked: bool = False
    words: str = ""
    answered: bool = False
    strange: bool = False
    tokens: Tokens = NO_TOKENS
    about: dict[str, JsonValue] = field(default_factory=dict)

    def take(self, chunk: Mapping[str, Any]) -> list[bytes]:
        """Take a chunk of ``generateContent`` and return the drafts in it. It decodes."""
        drafts: list[bytes] = []
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self.reason, self.prompt_blocked = str(feedback["blockReason"]), True
        candidates = chunk.get("candidates")
        self.answered |= bool(candidates)
        for candidate in objects_in(candidates)[:1]:
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in objects_in(parts):
                data = _inline(part)
                if data is not None:
                    (drafts if part.get("thought") is True else self.pictures).append(data)
                elif isinstance(part.get("text"), str):
                    self.words += "" if part.get("thought") is True else part["text"]
                elif not part or part.keys() - _WITHOUT_PICTURE:
                    self.strange = True
            if candidate.get("finishReason"):
                self.reason = str(candidate["finishReason"])
            if isinstance(candidate.get("finishMessage"), str):
                self.words = self.words or candidate["finishMessage"]
        if "usageMetadata" in chunk:  # each says the sum so far
            self.tokens = tokens_of(chunk["usageMetadata"])
        for theirs, ours in (("responseId", "response_id"), ("modelVersion", "model_version")):
            if isinstance(chunk.get(theirs), str):
                self.about[ours] = chunk[theirs][:100]
        return drafts

    @property
    def is_lost(self) -> bool:
        """Whether there is no picture, and nobody said that there is none."""
        if self.pictures or self.kind() is not None:
            return False
        return self.strange or (self.answered and not (self.reason or self.words))

    def kind(self) -> ErrorKind | None:
        """Return what an end without a picture is by its reason; None: it just has none."""
        if self.prompt_blocked or self.reason in BLOCKS:
            return ErrorKind.BLOCKED
        return _OTHER_ENDS.get(self.reason)


def _inline(part: Mapping[str, Any]) -> bytes | None:
    # Some gateways write the names as protocol buffers have them.
    inline = part.get("inlineData", part.get("inline_data"))
    if not isinstance(inline, dict) or not isinstance(inline.get("data"), str):
        return None
    mime = str(inline.get("mimeType", inline.get("mime_type", "image/")))
    return decoded(inline["data"]) if mime.startswith("image/") else None


def decoded(text: str) -> bytes:
    """Return the bytes of base64; of what is broken those that are there.

    The image door says what is wrong with them, and the picture counts as made.
    """
    whole = "".join(text.split())
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4))
    except ValueError:
        return b"?"


@dataclass(frozen=True, slots=True)
class Interaction:
    """What was said about an interaction.

    Attributes
    ----------
    id, status:
        as they came ("" where they are missing).
    pictures:
        bytes, or the address where they are.
    words:
        what the model wrote, or what went wrong.
    kind:
        what a failure is, as far as that can be told.
    tokens:
        what it took, as far as it says.
    strange:
        it has a picture that is neither bytes nor an address.
    """

    id: str = ""
    status: str = ""
    pictures: tuple[bytes | str, ...] = ()
    words: str = ""
    kind: ErrorKind | None = None
    tokens: Tokens = NO_TOKENS
    strange: bool = False


def interaction_of(value: Mapping[str, Any]) -> Interaction:
    """Read an interaction. It decodes pictures: use a thread where it is long."""
    pictures: list[bytes | str] = []
    words: list[str] = []
    strange = False
    errors = objects_in(value.get("errors")) + objects_in([value.get("error")])
    for step in objects_in(value.get("steps")):
        if step.get("type") != "model_output":
            continue
        errors += objects_in([step.get("error")])
        for content in objects_in(step.get("content")):
            if content.get("type") == "image":
                if isinstance(content.get("data"), str):
                    pictures.append(decoded(content["data"]))
                elif isinstance(content.get("uri"), str):
                    pictures.append(content["uri"])
                else:
                    strange = True
            elif isinstance(content.get("text"), str):
                words.append(content["text"])
    kind = None
    for error in errors:
        told = f"{error.get('code', '')} {error.get('message', '')}"
        if _SEEN_AS_BLOCK.search(told):
            kind = ErrorKind.BLOCKED
        if isinstance(error.get("message"), str):
            words.insert(0, error["message"])
    return Interaction(
        str(value.get("id") or ""),
        str(value.get("status") or ""),
        tuple(pictures),
        " ".join(words),
        kind,
        tokens_of(value.get("usage")),
        strange and not pictures,
    )


@dataclass(frozen=True, slots=True)
class Predictions:
    """What Imagen answered.

    Attributes
    ----------
    pictures:
        those that there are.
    reasons:
        why some are missing.
    lost:
        there are entries that are neither a picture nor a reason, so far as is known here.
    """

    pictures: tuple[bytes, ...] = ()
    reasons: str = ""
    lost: bool = False


def predictions_of(value: Mapping[str, Any]) -> Predictions:
    """Read Imagen's answer. It decodes."""
    pictures: list[bytes] = []
    reasons: list[str] = []
    given = value.get("predictions")
    for one in objects_in(given):
        if isinstance(one.get("bytesBase64Encoded"), str):
            pictures.append(decoded(one["bytesBase64Encoded"]))
        elif isinstance(one.get("raiFilteredReason"), str):
            reasons.append(one["raiFilteredReason"])
    count = len(given) if isinstance(given, list) else given is not None
    lost = count > len(pictures) + len(reasons)
    return Predictions(tuple(pictures), " ".join(reasons), lost)


# -- errors ---------------------------------------------------------------------------------------

_KINDS = {
    "API_KEY_INVALID": ErrorKind.AUTH,
    "API_KEY_SERVICE_BLOCKED": ErrorKind.AUTH,
    "FAILED_PRECONDITION": ErrorKind.AUTH,  # not in this country, or not without billing
    "UNAUTHENTICATED": ErrorKind.AUTH,
    "INSUFFICIENT_QUOTA": ErrorKind.QUOTA,
}
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_RETRY_IN = re.compile(
    r"(?i)\bretry in (\d{1,9}(?:\.\d{1,9})?)s\b"
)  # where the details are missing
_BAD_KEY = re.compile(r"(?i)api key (?:not valid|expired|not found)")
_NO_CREDIT = re.compile(r"(?i)credits? (?:are|is) depleted|limit: 0\b")


def error_in(value: Any) -> Said:
    """Read an error: what it says, and the seconds that it asks to wait.

    Google says that in the body (``google.rpc.RetryInfo``), never in a header. An allowance for a
    whole day that is used up comes as the same status 429; waiting does not help there.

    >>> info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}
    >>> error_in({"error": {"message": "slow down", "details": [info]}})
    Said(words='slow down', kind=None, retry_after_s=12.5)
    """
    if isinstance(value, list):  # a stream that is not one of events
        value = value[0] if value else None
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        return Said(error)
    if not isinstance(error, dict):
        return Said()
    words = error["message"] if isinstance(error.get("message"), str) else ""
    kind = _KINDS.get(str(error.get("status")))
    told = _RETRY_IN.search(words)
    wait_s = float(told[1]) if told else None
    for detail in objects_in(error.get("details")):
        kind = _KINDS.get(str(detail.get("reason"))) or kind
        delay = detail.get("retryDelay")
        found = _SECONDS.fullmatch(delay) if isinstance(delay, str) else None
        if found:
            wait_s = float(found[1])
        for violation in objects_in(detail.get("violations")):
            if "PerDay" in str(violation.get("quotaId")):
                kind = ErrorKind.QUOTA
    # Errors of interactions have no details; there the words are all that can be read.
    if _NO_CREDIT.search(words):
        kind = ErrorKind.QUOTA
    elif _BAD_KEY.search(words):
        kind = ErrorKind.AUTH
    return Said(words, kind, wait_s)
