"""What Replicate and Cog have in common: the input of a prediction, its states and its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import InvalidOperation
from typing import Any, Unpack

from workbench.domain.jobs import (
    Done,
    Idempotency,
    ImageReady,
    JobEvent,
    JobInput,
    JobRequest,
    Log,
    Queued,
    Running,
)
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers.catalogue import Entry, entry_of
from workbench.providers.failures import billed, lost_in_answer, sentence_of
from workbench.providers.hosted import Hosted, Options
from workbench.providers.inputs import base64_of, read_input
from workbench.providers.pictures import painted
from workbench.providers.redaction import plain
from workbench.providers.replicate_schema import entry_of_schema, fields_of
from workbench.providers.replicate_wire import (
    Images,
    images_of,
    input_of,
    kind_of,
    pictures_of,
    progress_of,
)

_FAILED = frozenset({"failed", "canceled", "aborted"})
_PREFIX = re.compile(r"^(?:prediction failed:\s*)+", re.IGNORECASE)
_MOST_METRICS = 20


class Predictor(Hosted):
    """Base of providers that make predictions, one for each picture.

    Parameters
    ----------
    name:
        Its name in the workspace.
    models:
        Entries of models, in the form of data files.
    **options:
        As for every hosted provider.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        models: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, **options)
        self._given: dict[str, Entry] = {}
        for given in models:
            entry = self._entry_of(given)
            self._given[entry.model.name] = entry

    # -- models -----------------------------------------------------------------------------------

    def _entry_of(self, given: Mapping[str, Any]) -> Entry:
        try:
            return entry_of(given, self.name, datetime.now(UTC).date().isoformat())
        except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
            raise InvalidRequest("models", f"one is not in order: {plain(str(error))}") from None

    def _discovered(
        self, model: str, schema: object, *, remark: str = "", version: str | None = None
    ) -> dict[str, Any]:
        """Return the entry of a model by the schema that was found; ProviderError if it is none."""
        if not fields_of(schema):
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"{self.title} does not say what the input of {plain(model)} is.",
            )
        entry = entry_of_schema(model, schema, remark=remark, version=version)
        self._entry_of(entry)
        return entry

    # -- the input --------------------------------------------------------------------------------

    async def _input(self, request: JobRequest, entry: Entry) -> dict[str, JsonValue]:
        """Return the input of a prediction with its images."""
        asked = input_of(request, entry, request.slots[0])
        for images in images_of(request, entry):
            sent: list[JsonValue] = [await self._sent(one, images) for one in images.inputs]
            asked[images.field] = sent if images.many else sent[0]
        return asked

    async def _sent(self, given: JobInput, images: Images) -> str:
        content, mime = await read_input(given), given.mime
        if images.paints is not None:
            content, mime = await painted(content, images.paints), "image/png"
        return await self._put(content, mime)

    async def _put(self, content: bytes, mime: str) -> str:
        """Return what stands for an image in the input: a ``data:`` address."""
        return f"data:{mime};base64,{await base64_of(content)}"

    # -- the end ----------------------------------------------------------------------------------

    async def _ending(
        self, prediction: Mapping[str, Any], index: int, *, by_second: bool = False
    ) -> list[JobEvent]:
        """Return the last events of a prediction that has ended.

        Parameters
        ----------
        prediction:
            As it was told.
        index:
            Of the picture.
        by_second:
            It is billed by the time that it ran.

        Raises
        ------
        ProviderError
            There is no picture.
        """
        pictures = pictures_of(prediction.get("output"))
        status = prediction.get("status")
        if status in _FAILED or (status != "succeeded" and not pictures):
            raise self._failed(prediction, by_second=by_second)
        if not pictures and prediction.get("data_removed"):
            raise ProviderError(
                ErrorKind.BAD_IMAGE,
                f"{self.title} made the picture, but has removed it: results are kept for an hour.",
                charged=True,
            )
        if not pictures and prediction.get("output") not in (None, [], ""):
            bills = self.idempotency.kind is not Idempotency.FREE
            raise lost_in_answer(self.title, charged=bills)
        if not pictures:  # safety checkers leave out what they do not like
            error = self._refused(None, ErrorKind.BLOCKED)
            raise billed(error) if by_second else error
        events: list[JobEvent] = []
        if len(pictures) > 1:
            events.append(Log(f"{self.title} sent {len(pictures)} pictures instead of one.", index))
        data = await self._fetch(pictures[0])
        return [*events, ImageReady(data, index, seed=_seed_in(prediction)), _done(prediction)]

    def _failed(self, prediction: Mapping[str, Any], *, by_second: bool) -> ProviderError:
        status = prediction.get("status")
        if status == "aborted":
            return ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} could not begin in time and charged nothing. Try it again.",
                ended=True,
            )
        words = _PREFIX.sub("", self._line.clean(prediction.get("error")))
        bill = f" {self.title} bills the seconds that it ran." if by_second else ""
        said = f" It says: {sentence_of(words)}" if words else ""
        kind = kind_of(words)
        if status == "canceled":
            kind, sentence = ErrorKind.BAD_REQUEST, f"It was cancelled at {self.title}.{bill}"
        else:
            sentence = f"{self.title} could not make this picture.{said}{bill}"
        error = ProviderError(kind, sentence, ended=True)
        if kind is ErrorKind.BLOCKED:
            error = self._refused(None, kind)
        return billed(error) if by_second else error


def has_ended(prediction: Mapping[str, Any]) -> bool:
    """Tell whether a prediction has ended, in whatever state.

    >>> has_ended({"status": "exploded", "completed_at": "2026-11-21T10:00:00Z"})
    True
    """
    status = prediction.get("status")
    return status == "succeeded" or status in _FAILED or bool(prediction.get("completed_at"))


def sign_of(prediction: Mapping[str, Any], index: int) -> JobEvent:
    """Return what the state of a prediction that has not ended means.

    >>> sign_of({"status": "starting"}, 0)
    Queued(position=None)
    """
    if prediction.get("status") == "starting":
        return Queued()
    progress = progress_of(prediction.get("logs"))
    return Running(0, None, index) if progress is None else Running(*progress, index)


def _seed_in(prediction: Mapping[str, Any]) -> int | None:
    given = prediction.get("input")
    seed = given.get("seed") if isinstance(given, dict) else None
    known = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63
    return seed if known else None


def _done(prediction: Mapping[str, Any]) -> Done:
    """Return the end, with the id and whatever the prediction counted."""
    usage: dict[str, JsonValue] = {"prediction": plain(prediction.get("id"), limit=100)}
    metrics = prediction.get("metrics")
    for name, value in list(metrics.items() if isinstance(metrics, dict) else ())[:_MOST_METRICS]:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            usage[plain(name, limit=50)] = value
    return Done(usage=usage)
