"""Asking for pictures and bringing them in: from arguments to a stored request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.domain.arguments import check_flag
from workbench.domain.ids import is_asset_id
from workbench.domain.money import TOKEN, from_micro
from workbench.domain.parameters import PRICED, Model
from workbench.domain.records import BatchRecord, GenerationRecord, Price
from workbench.domain.status import Operation
from workbench.domain.submissions import NewBatch, NewImport, NewInput
from workbench.errors import InsufficientBalance, InvalidRequest, LimitReached, NotAllowed
from workbench.ports import Provider
from workbench.workspace.batch import Batch
from workbench.workspace.budget import budgets_of, in_turn
from workbench.workspace.generation import Generation
from workbench.workspace.handle import Handle
from workbench.workspace.references import Intake, image_list, reference_list, resolve_inputs
from workbench.workspace.requests import (
    CheckedRequest,
    check_client_key,
    check_operation,
    check_request,
    checked_edit,
    provenance,
    request_source,
    title_from_prompt,
)
from workbench.workspace.titling import title_later

if TYPE_CHECKING:
    from workbench.workspace.topic import Topic
    from workbench.workspace.workspace import Workspace

_MOST_IMPORTED = 10_000
_REQUEST = ("n", "seed", "width", "height", "negative_prompt")
_NOT_COSTING = (
    "references",
    "source",
    "mask",
    "operation",
    "priority",
    "client_key",
    "force",
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would cost.

    Attributes
    ----------
    images:
        How many there would be.
    cost:
        Of all of them, in `unit`; where the provider bills it, an estimate (0: not known before).
    unit:
        "token" or a currency.
    by_provider:
        Whether the provider bills it to whoever owns the key.
    refusal:
        Why `generate` would refuse it now for what it costs: a cap, a surrounding budget, a
        balance that does not cover it, a visitor's limit. "": nothing of that stops it.
    """

    images: int
    cost: Decimal
    unit: str
    by_provider: bool
    refusal: str = ""


class Generating(Handle):
    """The part of a workspace that pictures are asked of."""

    @property
    def _whole(self) -> Workspace:
        """The workspace that this is a part of."""
        return cast("Workspace", self)

    def generate(
        self,
        prompt: str,
        *,
        model: str | None = None,
        n: int = 1,
        seed: int | None = None,
        width: int | None = None,
        height: int | None = None,
        negative_prompt: str | None = None,
        references: Any = (),
        source: Any = None,
        mask: Any = None,
        operation: str | None = None,
        topic: Topic | str | None = None,
        params: dict[str, Any] | None = None,
        priority: int = 0,
        client_key: str | None = None,
        force: bool = False,
        **more_params: Any,
    ) -> Batch:
        """Ask for pictures; returns at once, when the request is safely stored and queued.

        Parameters
        ----------
        prompt:
            What the pictures should show, up to 10,000 characters; kept as written.
        model:
            Id ("builtin:sketch") or alias ("sketch"); default: the setting ``default_model``.
        n:
            How many images, 1 up to the model's limit.
        seed:
            s gives s, s+1, … to the images; None draws a fresh one for each.
        width, height:
            Pixels, within the model's limits; None: the model's default.
        negative_prompt:
            What should not be there, for models that take one.
        references:
            Paths, URLs, PIL images, bytes, assets or generations, for models that take them.
        source:
            One such image that is to be changed (operation edit, variation or upscale).
        mask:
            One such image, as large as `source`, whose transparent parts are painted anew.
        operation:
            generate, edit, inpaint, variation or upscale; None: inpaint with a `mask`, edit with a
            `source`, else generate.
        topic:
            A topic or its id; None puts the batch into a new topic named after the prompt.
        params, more_params:
            The model's other parameters, as a dict or as keywords (``steps=30``).
        priority:
            -100 to 100; higher ones of yours run first.
        client_key:
            Your own name for this request: the same key again returns the same batch.
        force:
            Never answer from an earlier identical request. (No answers are taken from earlier
            requests yet, so this changes nothing today.)

        Returns
        -------
        Batch
            Queued; ``await`` it, ``.wait()`` for it, or look at it later.

        Raises
        ------
        InvalidRequest
            For anything wrong in the arguments; nothing is stored or charged.
        InsufficientBalance
            If the ledger or a surrounding budget does not cover it; likewise.
        LimitReached
            If you are a visitor who may not ask for that many images now; likewise.
        """
        check_flag("force", force)
        name = self._engine.settings.default_model if model is None else model
        provider, found = self._engine.registry.ready_model(name)
        request = check_request(
            found,
            prompt,
            n=n,
            seed=seed,
            width=width,
            height=height,
            negative_prompt=negative_prompt,
            params=params,
            extra=more_params,
            priority=priority,
            client_key=client_key,
        )
        given = reference_list(references)
        wanted = check_operation(
            found,
            operation,
            source=source is not None,
            mask=mask is not None,
            references=bool(given),
        )
        topic_id = self._topic_id(topic)
        price = found.price_of(request.params, width=request.width, height=request.height)
        for budget in budgets_of(self):  # before images are read that will not be needed
            budget.check(price, request.n)
        with Intake(self._whole) as intake:
            inputs = resolve_inputs(intake, found, references=given, source=source, mask=mask)
            record = self._submit(
                request,
                provider=provider,
                model=found,
                topic_id=topic_id,
                operation=wanted,
                price=price,
                inputs=inputs,
                needed=intake.known,
            )
        return Batch(self._whole, record.id)

    def estimate(self, prompt: str, **request: Any) -> Estimate:
        """Check a request as `generate` does, and say what it would cost; nothing is stored.

        What cannot be paid now has a price all the same: then `Estimate.refusal` says why
        `generate` would refuse it.

        Parameters
        ----------
        prompt, request:
            As for `generate`. Images that would go in are not looked at.

        Raises
        ------
        InvalidRequest, NotFound, NotAllowed
            As `generate` does, for an argument that is wrong or a topic that is not yours.

        Examples
        --------
        >>> import tempfile, workbench as wb
        >>> with wb.open(tempfile.mkdtemp()) as ws:
        ...     ws.estimate("a red fox", n=4, width=256, height=256)
        Estimate(images=4, cost=Decimal('0'), unit='token', by_provider=False, refusal='')
        """
        model, topic = request.pop("model", None), request.pop("topic", None)
        known = {name: request.pop(name) for name in ("params", *_REQUEST) if name in request}
        for name in _NOT_COSTING:
            request.pop(name, None)
        name = self._engine.settings.default_model if model is None else model
        _, found = self._engine.registry.ready_model(name)
        checked = check_request(
            found,
            prompt,
            **{**dict.fromkeys(_REQUEST), "n": 1, "params": None, **known},
            extra=request,
            priority=0,
            client_key=None,
        )
        price = found.price_of(checked.params, width=checked.width, height=checked.height)
        cost = from_micro(price.amount_micro * checked.n)
        refusal = self._refusal(self._topic_id(topic), price, checked.n)
        return Estimate(checked.n, cost, price.unit, price.by_provider, refusal)

    def _refusal(self, topic_id: str | None, price: Price, n: int) -> str:
        """Return why `n` images at `price` would be refused now, "" if they would not."""
        try:
            for budget in budgets_of(self):
                budget.check(price, n)
            self._store.check_means(self._acting, topic_id, price, n, limits=self._limits)
        except (InsufficientBalance, LimitReached) as error:
            return str(error)
        return ""

    def _submit(
        self,
        request: CheckedRequest,
        *,
        provider: Provider,
        model: Model,
        topic_id: str | None,
        operation: Operation,
        price: Price,
        inputs: Sequence[NewInput],
        needed: Sequence[str],
    ) -> BatchRecord:
        new = NewBatch(
            identity=self._acting,
            topic_id=topic_id,
            operation=operation,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            provider=provider.name,
            model=model.id,
            n=request.n,
            seed=request.seed,
            seeds=request.seeds,
            width=request.width,
            height=request.height,
            params=request.params,
            inputs=tuple(inputs),
            lane=provider.name,
            batchable=model.batchable,
            priority=request.priority,
            client_key=request.client_key,
            price=price,
            source=request_source.get(),
            provenance=provenance(),
            topic_title=title_from_prompt(request.prompt),
            needed_assets=tuple(needed),
            limits=self._limits,
        )
        store = self._store
        with in_turn(self) as budgets:
            for budget in budgets:
                budget.check(price, request.n)
            record: BatchRecord = store.submit_batch(new).result()
            if budgets:
                images = store.batch_generations(self.identity, record.id, history=True)
                for budget in budgets:
                    budget.add(image.id for image in images)
        if self._limits is None:  # visitors spend nothing of the operator's that nobody asked for
            title_later(self._engine, self._acting, record, request.prompt)
        return record

    def _retry(self, records: Sequence[GenerationRecord]) -> list[Generation]:
        """Try ended generations of one model again, all or none."""
        if not records:
            return []
        if records[0].model is None:
            raise NotAllowed("An imported picture is complete; there is nothing to try again.")
        _, model = self._engine.registry.ready_model(records[0].model)
        # Each at its own: one of them may have been edited while it waited.
        prices = [
            model.price_of(record.params, width=record.width, height=record.height)
            for record in records
        ]
        total = Price(
            unit=prices[0].unit,
            amount_micro=sum(price.amount_micro for price in prices),
            version=prices[0].version,
        )
        ids = [record.id for record in records]
        with in_turn(self) as budgets:
            for budget in budgets:
                budget.check(total, 1)
            again = self._store.retry_all(self.identity, ids, prices, limits=self._limits).result()
            for budget in budgets:
                budget.add(record.id for record in again)
        return [Generation(self._whole, record.id) for record in again]

    def _edit(self, generation_id: str, changes: Mapping[str, object]) -> None:
        """Change a waiting image; what it costs then is reserved in place of what was."""
        with in_turn(self) as current:
            record = self._store.generation(self.identity, generation_id)
            model = self._engine.registry.model(record.model or "")
            fields = checked_edit(model, record, changes)
            budgets = current if fields.keys() & PRICED else []
            old = self._reserved(generation_id) if budgets else Price()
            for budget in budgets:
                new = model.price_of(
                    fields.get("params", record.params),
                    width=fields.get("width", record.width),
                    height=fields.get("height", record.height),
                )
                budget.check_edit(generation_id, old, new)
            self._store.edit_queued(
                self.identity, generation_id, fields, model=model, limits=self._limits
            ).result()
            for budget in budgets:
                budget.add_edit(generation_id, old)

    def _resolve(self, generation_id: str, outcome: str) -> GenerationRecord:
        """Settle an unknown outcome; an image that is made again counts like any other."""
        with in_turn(self) as current:
            budgets = current if outcome == "retry" else []
            price = self._reserved(generation_id) if budgets else Price()
            for budget in budgets:
                budget.check(price, 1, without=generation_id)
            record: GenerationRecord = self._store.resolve_unknown(
                self.identity, generation_id, outcome, limits=self._limits
            ).result()
            for budget in budgets:
                budget.add([record.id])
        return record

    def _reserved(self, generation_id: str) -> Price:
        """Return the price that is reserved for an image now."""
        _, rows = self._store.sql(
            "SELECT unit, reserved_micro, rate_version FROM generation WHERE id = ?",
            (generation_id,),
        )
        unit, amount, version = rows[0] if rows else (None, 0, None)
        return Price(unit=unit or TOKEN, amount_micro=amount, version=version or 0)

    def import_images(
        self,
        paths: Any,
        *,
        topic: Topic | str | None = None,
        client_key: str | None = None,
    ) -> Batch:
        """Bring images in as completed generations with the operation import.

        Parameters
        ----------
        paths:
            One or many paths, URLs, PIL images, bytes or assets.
        topic:
            Where to put them; None makes a new topic.
        client_key:
            The same key again returns the same batch.

        Raises
        ------
        InvalidRequest
            Naming the first one that is no usable image; then none is imported.
        """
        store = self._store
        topic_id = self._topic_id(topic)
        key = check_client_key(client_key)
        items = image_list("paths", paths, limit=_MOST_IMPORTED)
        if not items:
            raise InvalidRequest("paths", "is empty; name at least one image.")
        with Intake(self._whole) as intake:
            admitted = [
                (intake.admit(item, f"paths[{place}]"), _import_title(item))
                for place, item in enumerate(items)
            ]
            new = NewImport(
                identity=self._acting,
                topic_id=topic_id,
                items=tuple(admitted),
                client_key=key,
                topic_title="Imported images",
                needed_assets=tuple(intake.known),
            )
            record = store.import_images(new).result()
        return Batch(self._whole, record.id)


def _import_title(item: object) -> str:
    if isinstance(item, (str, PathLike)) and not is_asset_id(item) and "://" not in str(item):
        name = Path(os.fsdecode(item)).name
        return "".join(c for c in name if c.isprintable())[:200] or "image"
    return "image"
