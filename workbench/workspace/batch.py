"""One request with its images, as Python sees it: a live handle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import check_flag
from workbench.domain.money import from_micro
from workbench.domain.records import BatchRecord, GenerationRecord
from workbench.domain.status import OUTCOME_UNKNOWN, Operation, Status, batch_status
from workbench.errors import WorkbenchError
from workbench.ports import Selection
from workbench.workspace import display, files_out
from workbench.workspace.generation import Generation
from workbench.workspace.waiting import next_wake, wait_async, wait_blocking, wakeups

if TYPE_CHECKING:
    from workbench.workspace.topic import Topic
    from workbench.workspace.workspace import Workspace


class Batch:
    """A batch: ``await batch``, `wait`, or ``async for generation in batch`` (each as it ends)."""

    def __init__(self, workspace: Workspace, id: str) -> None:
        self._workspace = workspace
        self.id = id

    # -- what it is -------------------------------------------------------------------------------

    @property
    def record(self) -> BatchRecord:
        """A frozen snapshot of the row as it is now."""
        return self._workspace._store.batch(self._workspace.identity, self.id)

    @property
    def prompt(self) -> str:
        """What the user wrote."""
        return self.record.prompt

    @property
    def topic(self) -> Topic:
        """The topic that it is in."""
        return self._workspace.topic(self.record.topic_id)

    @property
    def created_at(self) -> datetime:
        """When it was accepted (aware, UTC)."""
        return datetime.fromtimestamp(self.record.created_at / 1000, UTC)

    @property
    def counts(self) -> dict[Status, int]:
        """How many of its images have each status (the latest generation of each index)."""
        self.record  # noqa: B018  (raises NotFound for foreign ids)
        found = self._workspace._store.batch_counts(self.id)
        return {status: found.get(status, 0) for status in Status}

    @property
    def status(self) -> Status:
        """Any active one wins (processing, queued, pending); else completed, failed, cancelled."""
        return batch_status(status for status, count in self.counts.items() if count)

    @property
    def cost(self) -> Decimal:
        """Sum of what its images cost, tries included."""
        records = self._records(history=True)
        return from_micro(sum(record.cost_micro for record in records))

    @property
    def generations(self) -> list[Generation]:
        """The latest generation of each index, in order."""
        return self._handles(history=False)

    def all_generations(self, *, history: bool = True) -> list[Generation]:
        """Every generation, earlier tries included (``history=False``: as `generations`)."""
        return self._handles(history=check_flag("history", history))

    def _handles(self, *, history: bool) -> list[Generation]:
        return [Generation(self._workspace, record.id) for record in self._records(history=history)]

    def _records(self, *, history: bool = False) -> list[GenerationRecord]:
        return self._workspace._store.batch_generations(
            self._workspace.identity, self.id, history=history
        )

    def __len__(self) -> int:
        return len(self._records())

    # -- waiting ----------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return self._workspace._store.batch_open(self.id) == 0

    def wait(self, timeout: float | None = None) -> Batch:
        """Block until every image has ended or its outcome is unknown; returns the batch.

        A KeyboardInterrupt (the stop button) ends the waiting, not the jobs.

        Parameters
        ----------
        timeout:
            Seconds, or None for no limit.

        Raises
        ------
        TimeoutError
            After `timeout`; the jobs go on.
        WrongThread
            In a callback on the engine or dispatcher thread.
        """
        self.record  # noqa: B018  (raises NotFound for foreign ids)
        wait_blocking(self._workspace._engine, self._is_over, timeout, "The batch")
        return self

    def __await__(self) -> Generator[Any, None, Batch]:
        return self._wait().__await__()

    async def _wait(self) -> Batch:
        self.record  # noqa: B018  (raises NotFound for foreign ids)
        await wait_async(self._workspace._engine, self._is_over)
        return self

    async def __aiter__(self) -> AsyncIterator[Generation]:
        """Yield each image once, as it ends (or its outcome is found to be unknown)."""
        given: set[str] = set()
        async with wakeups(self._workspace._engine) as woken:
            while True:
                open_ones = 0
                for record in self._records():
                    if record.status.is_terminal or record.detail_key == OUTCOME_UNKNOWN:
                        if record.id not in given:
                            given.add(record.id)
                            yield Generation(self._workspace, record.id)
                    else:
                        open_ones += 1
                if open_ones == 0 and self._is_over():
                    return
                await next_wake(woken)

    # -- what can be done with it -----------------------------------------------------------------

    def cancel(self) -> int:
        """Cancel what has not ended; returns how many images that was. The others stay."""
        result = self._workspace._store.cancel(
            self._workspace.identity, Selection(batch_id=self.id)
        ).result()
        return len(result.cancelled)

    def retry_failed(self) -> list[Generation]:
        """Try every failed image again, all or none; returns the new generations."""
        failed = [record for record in self._records() if record.status is Status.FAILED]
        return self._workspace._retry(failed)

    def run_next(self) -> int:
        """Put its waiting images before everything else that you have queued."""
        selection = Selection(batch_id=self.id)
        return self._workspace._store.run_next(self._workspace.identity, selection).result()

    def to_zip(self, path: str | PathLike[str]) -> Path:
        """Write the finished originals and the parameters as JSON into one ZIP file.

        Returns
        -------
        Path
            The file written. A batch that still runs gives what is finished.
        """
        return files_out.batch_zip(self._workspace, self.record, path)

    def delete(self) -> int:
        """Move it to the trash (30 days); what still runs is cancelled. Returns how many images."""
        return self._workspace._store.trash(self._workspace.identity, "batch", self.id).result()

    def restore(self) -> None:
        """Take it out of the trash."""
        self._workspace._store.restore(self._workspace.identity, "batch", self.id).result()

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make this request again: ``ws.generate(**b.settings())``.

        The seed is the one of the first image, so that the same pictures come back.
        """
        record = self.record
        if record.operation is Operation.IMPORT:
            return {"prompt": record.prompt}
        first = self._records()
        seeds = [generation.seed for generation in first]
        consecutive = seeds and seeds[0] is not None
        if consecutive and record.seed is None and record.n > 1:
            consecutive = seeds == [seeds[0] + place for place in range(len(seeds))]  # type: ignore[operator]  # checked above
        settings: dict[str, Any] = {
            "prompt": record.prompt,
            "model": record.model,
            "n": record.n,
            "seed": seeds[0] if consecutive else record.seed,
            "width": record.width,
            "height": record.height,
            "negative_prompt": record.negative_prompt,
            "params": dict(record.params),
        }
        inputs = self._workspace._store.inputs([first[0].id]) if first else []
        references = [item.asset_id for item in inputs if item.role == "reference"]
        if references:
            settings["references"] = references
        return {key: value for key, value in settings.items() if value is not None}

    def to_python(self) -> str:
        """Return Python code that makes this request again."""
        return as_python(self.settings())

    # -- identity and display ---------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        try:
            counts = ", ".join(f"{n} {status.value}" for status, n in self.counts.items() if n)
        except WorkbenchError:  # closed, purged, not shared any more
            return f"<Batch {self.id}>"
        return f"<Batch {self.id} {counts}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        pictures = self._workspace._with_pictures(self._records())
        shrink = self._workspace._engine.media.shrink
        return display.batch_bundle(self.record, pictures, shrink=shrink)


def as_python(settings: Mapping[str, Any]) -> str:
    """Return Python code for a request with these arguments of `Workspace.generate`."""
    arguments = dict(settings)
    prompt = arguments.pop("prompt")
    lines = [f"    {prompt!r},"]
    lines += [f"    {name}={value!r}," for name, value in arguments.items()]
    body = "\n".join(lines)
    return f"import workbench as wb\n\nws = wb.open()\nbatch = ws.generate(\n{body}\n)\n"
