"""One image slot of a batch, as Python sees it: a live handle on a row."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import check_flag, check_items, check_whole, is_word, shown
from workbench.domain.records import (
    AttemptRecord,
    GenerationError,
    GenerationRecord,
    InputRecord,
    Judgement,
)
from workbench.domain.status import OUTCOME_UNKNOWN, Operation, Status
from workbench.errors import InvalidRequest, NotAllowed, WorkbenchError
from workbench.ports import Selection
from workbench.workspace import display, files_out
from workbench.workspace.asset import Asset
from workbench.workspace.waiting import wait_async, wait_blocking

if TYPE_CHECKING:
    from PIL.Image import Image

    from workbench.workspace.batch import Batch
    from workbench.workspace.workspace import Workspace

THUMBNAIL_SIZES = (256, 768)
_MOST_TAGS = 1_000  # before repeats are taken out; the store keeps 64


class Generation:
    """A generation: every attribute is read from the store when it is asked for.

    ``await generation`` or `wait` ends when it is terminal or its outcome is unknown.
    """

    def __init__(self, workspace: Workspace, id: str) -> None:
        self._workspace = workspace
        self.id = id

    # -- what it is -------------------------------------------------------------------------------

    @property
    def record(self) -> GenerationRecord:
        """A frozen snapshot of the row as it is now."""
        return self._workspace._store.generation(self._workspace.identity, self.id)

    @property
    def index(self) -> int:
        """Place in the batch, from 0."""
        return self.record.index

    @property
    def batch(self) -> Batch:
        """The request that it belongs to."""
        return self._workspace.batch(self.record.batch_id)

    @property
    def operation(self) -> Operation:
        """generate, edit, inpaint, variation, upscale or import."""
        return self.record.operation

    @property
    def status(self) -> Status:
        """pending, queued, processing, completed, failed or cancelled."""
        return self.record.status

    @property
    def detail(self) -> str:
        """What is happening right now, or a remark on the result; "" if there is nothing."""
        return self.record.detail

    @property
    def progress(self) -> float:
        """0..1 within the present attempt."""
        return self.record.progress

    @property
    def attempt(self) -> int:
        """How many times a worker started it."""
        return self.record.attempt

    @property
    def prompt(self) -> str:
        """What the user wrote."""
        return self.record.prompt

    @property
    def seed(self) -> int | None:
        """The seed that was sent; None where the model takes none."""
        return self.record.seed

    @property
    def error(self) -> GenerationError | None:
        """None, or why it failed: ``.kind``, ``.message`` and ``.charged``."""
        return self.record.error

    @property
    def cost(self) -> Decimal:
        """What it cost, in ``record.unit``; 0 unless it was completed (or charged)."""
        return self.record.cost

    @property
    def created_at(self) -> datetime:
        """When it was accepted (aware, UTC)."""
        return datetime.fromtimestamp(self.record.created_at / 1000, UTC)

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end; None while it has not ended."""
        return self.record.duration_s

    @property
    def retry_of(self) -> str | None:
        """Id of the generation that this one is a new try of."""
        return self.record.retry_of

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions and place that the request came from."""
        return self.record.provenance

    @property
    def attempts(self) -> list[AttemptRecord]:
        """Audit rows: every submission to the provider."""
        self.record  # noqa: B018  (raises NotFound for foreign ids)
        return self._workspace._store.attempts(self.id)

    @property
    def inputs(self) -> list[InputRecord]:
        """Assets that went in, with role (reference, source, mask) and position."""
        self.record  # noqa: B018  (raises NotFound for foreign ids)
        return self._workspace._store.inputs([self.id])

    # -- the picture ------------------------------------------------------------------------------

    @property
    def asset(self) -> Asset | None:
        """The stored image, or None while there is none."""
        asset_id = self.record.asset_id
        if asset_id is None:
            return None
        return Asset(self._workspace._engine, self._workspace._store.asset(asset_id))

    @property
    def image(self) -> Image:
        """A new PIL image each time.

        Raises
        ------
        NotAllowed
            If there is no picture (yet).
        """
        return self._workspace._engine.media.open(self._asset_id())

    @property
    def path(self) -> Path | None:
        """The stored file, or None while there is none. Read it; never write to it."""
        asset_id = self.record.asset_id
        return None if asset_id is None else self._workspace._engine.media.path(asset_id)

    def thumbnail(self, size: int = 256) -> Path:
        """Return the path of a WebP thumbnail.

        Parameters
        ----------
        size:
            Pixels of the longer side: 256 or 768.

        Raises
        ------
        InvalidRequest
            For another size.
        NotAllowed
            If there is no picture (yet).
        """
        pixels = check_whole("size", size, low=1, high=2**31)
        if pixels not in THUMBNAIL_SIZES:
            raise InvalidRequest("size", f"must be 256 or 768, not {shown(size)}.")
        return self._workspace._engine.media.thumbnail(self._asset_id(), pixels)

    def save(self, path: str | PathLike[str], metadata: bool = True) -> Path:
        """Write the original to a file, with prompt and parameters inside unless switched off.

        Parameters
        ----------
        path:
            A file name (the ending must fit the format; none = the right one is added) or an
            existing folder.
        metadata:
            Add our JSON and the A1111 text. The stored bytes are never changed.

        Returns
        -------
        Path
            The file written.
        """
        check_flag("metadata", metadata)
        self._asset_id()
        return files_out.save(self._workspace, self.record, path, metadata=metadata)

    def _asset_id(self) -> str:
        record = self.record
        if record.asset_id is None:
            raise NotAllowed(
                f"This generation has no picture: it is {record.status.value}. Wait for it with "
                "'await generation', or see generation.error."
            )
        return record.asset_id

    # -- what can be done with it -----------------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel it; True if that ended it, False if it had ended already (not an error)."""
        result = self._workspace._store.cancel(
            self._workspace.identity, Selection(generation_ids=(self.id,))
        ).result()
        return self.id in result.cancelled

    def retry(self) -> Generation:
        """Try again: a new generation in the same batch and index, which is returned.

        Raises
        ------
        NotAllowed
            If it has not failed or been cancelled.
        """
        return self._workspace._retry([self.record])[0]

    def run_next(self) -> bool:
        """Put it before everything else that you have queued; False if it does not wait."""
        selection = Selection(generation_ids=(self.id,))
        return self._workspace._store.run_next(self._workspace.identity, selection).result() > 0

    def edit(self, **changes: Any) -> None:
        """Change seed, width, height, prompt or model parameters while it waits in the queue.

        What it costs then is reserved in place of what was.

        Raises
        ------
        InvalidRequest
            For a name or value that the model does not take.
        NotAllowed
            If it has started.
        InsufficientBalance
            If the ledger, a cap or a surrounding budget does not cover it; nothing is changed.
        """
        self._workspace._edit(self.id, changes)

    def resolve(self, outcome: str) -> Generation:
        """Settle an unknown outcome of a paid call: "charged", "not_charged" or "retry".

        Returns
        -------
        Generation
            This one, or with "retry" the new one.
        """
        if not is_word(outcome, ("charged", "not_charged", "retry")):
            raise InvalidRequest("outcome", "must be 'charged', 'not_charged' or 'retry'.")
        return Generation(self._workspace, self._workspace._resolve(self.id, outcome).id)

    def delete(self) -> None:
        """Move it to the trash (30 days); the last one of a batch takes the batch with it."""
        self._workspace._store.trash(self._workspace.identity, "generation", self.id).result()

    def restore(self) -> None:
        """Take it out of the trash."""
        self._workspace._store.restore(self._workspace.identity, "generation", self.id).result()

    # -- what the current user thinks of it -------------------------------------------------------

    def _judgement(self) -> Judgement:
        found = self._workspace._store.judgements(self._workspace.identity, [self.id])
        if self.id not in found:
            self.record  # noqa: B018  (raises NotFound for what is gone or not to be seen)
        return found.get(self.id, Judgement())

    def _judge(self, **values: Any) -> None:
        self._workspace._store.judge(self._workspace._acting, {self.id: values}).result()

    @property
    def rating(self) -> int:
        """0 (none) to 5, of the current user."""
        return self._judgement().rating

    @rating.setter
    def rating(self, value: int) -> None:
        self._judge(rating=value)

    @property
    def favourite(self) -> bool:
        """Whether the current user marked it."""
        return self._judgement().favourite

    @favourite.setter
    def favourite(self, value: bool) -> None:
        self._judge(favourite=value)

    @property
    def tags(self) -> frozenset[str]:
        """Tags of the current user."""
        return self._judgement().tags

    @tags.setter
    def tags(self, value: Iterable[str]) -> None:
        if isinstance(value, str):
            raise InvalidRequest("tags", f"must be a set of texts; write {{{shown(value)}}}.")
        self._judge(tags=check_items("tags", value, "texts", limit=_MOST_TAGS))

    @property
    def note(self) -> str:
        """A note of the current user."""
        return self._judgement().note

    @note.setter
    def note(self, value: str) -> None:
        self._judge(note=value)

    # -- waiting ----------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        record = self.record
        return record.status.is_terminal or record.detail_key == OUTCOME_UNKNOWN

    def wait(self, timeout: float | None = None) -> Generation:
        """Block until it has ended or its outcome is unknown; returns itself.

        Raises
        ------
        TimeoutError
            After `timeout` seconds; the work goes on.
        """
        wait_blocking(self._workspace._engine, self._is_over, timeout, "The generation")
        return self

    def __await__(self) -> Generator[Any, None, Generation]:
        return self._wait().__await__()

    async def _wait(self) -> Generation:
        await wait_async(self._workspace._engine, self._is_over)
        return self

    # -- identity and display ---------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generation) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        try:
            record = self.record
        except WorkbenchError:  # closed, purged, not shared any more
            return f"<Generation {self.id}>"
        return f"<Generation {self.id} #{record.index} {record.status.value}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        record = self.record
        return display.generation_bundle(record, self._workspace._small_picture(record))
