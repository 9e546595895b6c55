"""Records as the rows of `protocol.ROWS`: what travels to a page.

Seeds travel as decimal text (JavaScript's numbers end at 2**53), details and errors as text, times
as UTC milliseconds, amounts as micro-units. A row that the user may not see, or that lies in the
trash, is missing: gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.parameters import Model, Parameter
from workbench.domain.records import (
    AssetRecord,
    BatchRecord,
    GenerationView,
    ProjectRecord,
    TopicView,
)
from workbench.widgets.protocol import SHOWN_PROMPT_CHARACTERS
from workbench.widgets.simple import Shown, settable
from workbench.workspace.view import View

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

Row = dict[str, Any]


class Rows:
    """Rows of one workspace, as its user may see them.

    Parameters
    ----------
    workspace:
        The workspace.
    simple:
        Whether they are for a simple widget, whose pages see what they may set.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     topic = ws.create_topic("Foxes")
    ...     Rows(ws).topics([topic.id])[topic.id]["title"]
    'Foxes'
    """

    def __init__(self, workspace: Workspace, *, simple: bool = False) -> None:
        self._workspace = workspace
        self.view = View(workspace)
        self.shown = Shown(workspace, simple=simple)

    # -- by id ------------------------------------------------------------------------------------

    def generations(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of generations by id."""
        found = self.view.generations(ids)
        return {id: self.generation(view) for id, view in found.items()}

    def batches(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of batches by id."""
        return {id: self.batch(record) for id, record in self.view.batches(ids).items()}

    def topics(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of topics by id."""
        return {view.record.id: self.topic(view) for view in self.view.topics(ids)}

    def topic_page(
        self, limit: int, cursor: str | None = None
    ) -> tuple[list[Row], Row | None, int]:
        """Return rows of topics, latest activity first, what lies beyond them, and the total."""
        page = self.view.topic_page(limit=limit, cursor=cursor)
        beyond = None if page.older is None else {"cursor": page.older, "total": page.total}
        return [self.topic(view) for view in page.topics], beyond, page.total

    def projects(self, ids: Sequence[str] | None = None) -> dict[str, Row]:
        """Return the rows of projects by id; without ids all, oldest first."""
        return {record.id: self.project(record) for record in self.view.projects(ids)}

    # -- the user's own ---------------------------------------------------------------------------

    def balances(self) -> list[Row]:
        """Return a row for each unit that the user has ever had something of."""
        return [
            {
                "unit": balance.unit,
                "amount_micro": balance.amount_micro,
                "change_micro": balance.change_micro,
                "reason": balance.reason,
                "transaction_id": balance.transaction_id,
            }
            for balance in self.view.balances()
        ]

    def queue(self) -> Row:
        """Return the row of the user's queue."""
        return {"paused": self._workspace.paused, "ahead": self.view.ahead()}

    def models(self) -> list[Row]:
        """Return the models that can be used, as a panel needs them (a simple one has less)."""
        ready = {info.name for info in self._workspace.providers() if info.state.ready}
        return [
            model_row(model, simple=self.shown.simple)
            for model in self._workspace.models()
            if model.provider in ready
            and (self._workspace.may_spend or not model.price.by_provider)
            and (self._workspace.may_spend_unknown or not model.price.is_unknown)
        ]

    def providers(self) -> list[Row]:
        """Return every provider with what is missing, if it cannot be used.

        What that is (a variable, an address) is told to whoever may set it up.
        """
        told = self.may_set_providers()
        return [
            {
                "name": info.name,
                "title": info.title,
                "ready": info.state.ready,
                "code": info.state.code,
                "message": info.state.message if told else "",
            }
            for info in self._workspace.providers()
        ]

    def provider_settings(self) -> list[Row]:
        """Return every provider with what its settings show; never a key."""
        return [
            {
                "name": info.name,
                "title": info.title,
                "help": info.help,
                "ready": info.state.ready,
                "code": info.state.code,
                "message": info.state.message,
                "models": len(info.models),
                "concurrency": info.concurrency,
                "base_url": info.base_url,
                "takes_key": info.takes_key,
                "key_place": info.key_place,
                "set_base_url": info.set_base_url,
                "testable": info.testable,
                "refreshable": info.refreshable,
            }
            for info in self._workspace.providers()
        ]

    def may_set_providers(self) -> bool:
        """Tell whether the user may set providers up here."""
        return self._workspace.may_set_providers

    # -- one record -------------------------------------------------------------------------------

    def generation(self, view: GenerationView) -> Row:
        """Return the row of a generation."""
        record, judgement = view.record, view.judgement
        error = record.error
        return {
            "id": record.id,
            "batch_id": record.batch_id,
            "topic_id": record.topic_id,
            "index": record.index,
            "seq": record.seq,
            "operation": record.operation.value,
            "source": record.source,
            "status": record.status.value,
            "detail": record.detail,
            "detail_key": record.detail_key,
            "progress": record.progress,
            "step": record.step,
            "total_steps": record.total_steps,
            "attempt": record.attempt,
            "preview": record.preview,
            "seed": seed_text(record.seed),
            "width": record.width,
            "height": record.height,
            "model": record.model,
            "asset": None if view.asset is None else asset_row(view.asset),
            "error": None
            if error is None
            else {"kind": error.kind.value, "message": error.message, "charged": error.charged},
            "cost_micro": record.cost_micro,
            "unit": record.unit,
            "retry_of": record.retry_of,
            "created_at": record.created_at,
            "started_at": record.started_at,
            "finished_at": record.finished_at,
            "rating": judgement.rating,
            "favourite": judgement.favourite,
            "tags": sorted(judgement.tags),
            "mine": self.view.owns(record),
            "rev": record.rev,
        }

    def generation_rows(self, views: Iterable[GenerationView]) -> list[Row]:
        """Return the rows of generations, in their order."""
        return [self.generation(view) for view in views]

    def batch(self, record: BatchRecord) -> Row:
        """Return the row of a batch; a long prompt is cut."""
        return {
            "id": record.id,
            "topic_id": record.topic_id,
            "seq": record.seq,
            "operation": record.operation.value,
            "source": record.source,
            "prompt": record.prompt[:SHOWN_PROMPT_CHARACTERS],
            "prompt_length": len(record.prompt),
            "negative_prompt": record.negative_prompt,
            "provider": record.provider,
            "model": record.model,
            "width": record.width,
            "height": record.height,
            "n": record.n,
            "seed": seed_text(record.seed),
            "params": self.shown.params(record.model, record.params),
            "client_key": record.client_key,
            "created_at": record.created_at,
            "mine": self.view.owns(record),
            "rev": record.rev,
        }

    def topic(self, view: TopicView) -> Row:
        """Return the row of a topic; its cover is the one chosen, or its first success."""
        record = view.record
        return {
            "id": record.id,
            "project_id": record.project_id,
            "title": record.title,
            "title_source": record.title_source,
            "cover_id": record.cover_generation_id,
            "cover_asset": view.cover_asset,
            "images": view.images,
            "visibility": record.visibility.value,
            "mine": self.view.owns(record),
            "created_at": record.created_at,
            "updated_at": record.updated_at,
            "rev": record.rev,
        }

    def project(self, record: ProjectRecord) -> Row:
        """Return the row of a project."""
        return {
            "id": record.id,
            "title": record.title,
            "mine": self.view.owns(record),
            "rev": record.rev,
        }


def seed_text(seed: int | None) -> str | None:
    """Return a seed as decimal text."""
    return None if seed is None else str(seed)


def asset_row(asset: AssetRecord) -> Row:
    """Return what a page knows of an image."""
    return {
        "id": asset.id,
        "mime": asset.mime,
        "width": asset.width,
        "height": asset.height,
        "size_bytes": asset.size_bytes,
    }


def model_row(model: Model, *, simple: bool) -> Row:
    """Return a model as a panel needs it: hidden parameters are not there."""
    return {
        "id": model.id,
        "provider": model.provider,
        "name": model.name,
        "title": model.title,
        "help": model.help,
        "max_images": model.max_images,
        "max_references": model.max_references,
        "negative_prompt": model.negative_prompt,
        "seeds": model.seeds,
        "price_micro": model.price.amount_micro,
        "unit": model.price.unit,
        "by_provider": model.price.by_provider,
        "operations": [operation.value for operation in model.operations],
        "parameters": [
            _parameter_row(name, parameter)
            for name, parameter in model.parameters.items()
            if settable(parameter, simple=simple)
        ],
    }


def _parameter_row(name: str, parameter: Parameter) -> Row:
    return {
        "name": name,
        "kind": parameter.kind.value,
        "default": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "step": parameter.step,
        "choices": list(parameter.choices),
        "unit": parameter.unit,
        "label": parameter.label or name.replace("_", " ").capitalize(),
        "help": parameter.help,
        "group": parameter.group,
        "advanced": parameter.advanced,
    }
