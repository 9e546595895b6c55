"""Frozen snapshots of rows. Times are integer UTC milliseconds; amounts are integer micro-units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from workbench.domain.money import TOKEN, from_micro
from workbench.domain.status import ErrorKind, Operation, Status, Visibility
from workbench.domain.texts import detail_text, error_text

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Json = Mapping[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `all_users` is the operator's view over everybody's rows."""

    user: str
    team: str | None = None
    all_users: bool = False


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A group of topics."""

    id: str
    title: str
    owner: str
    team: str | None
    visibility: Visibility
    created_at: int
    updated_at: int
    deleted_at: int | None
    rev: int


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A session of work. `title_source` is none, prompt, model or user; a user's title stays."""

    id: str
    project_id: str
    title: str
    title_source: str
    cover_generation_id: str | None
    owner: str
    team: str | None
    visibility: Visibility
    created_at: int
    updated_at: int
    deleted_at: int | None
    rev: int
    meta: Json = field(default_factory=dict)
    seq: int = 0  # order of arrival in this workspace


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One request. `seed` is what the user gave (None: fresh ones were drawn per image)."""

    id: str
    topic_id: str
    operation: Operation
    source: str
    prompt: str
    negative_prompt: str | None
    provider: str | None
    model: str | None
    width: int | None
    height: int | None
    n: int
    seed: int | None
    params: Json
    priority: int
    client_key: str | None
    provenance: Json
    owner: str
    team: str | None
    created_at: int
    deleted_at: int | None
    rev: int
    seq: int = 0  # order of arrival in this workspace


@dataclass(frozen=True, slots=True)
class GenerationError:
    """Why a generation failed: kind, a sentence for people, and whether money was taken."""

    kind: ErrorKind
    message: str
    charged: bool


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """One image slot of a batch, as it was when it was read."""

    id: str
    batch_id: str
    topic_id: str
    job_id: str | None
    index: int
    operation: Operation
    source: str
    status: Status
    detail_key: str | None
    detail_args: Json
    progress: float  # 0..1 within the attempt
    step: int | None
    total_steps: int | None
    attempt: int  # 0 until a worker claimed it; grows by one with every claim that starts anew
    preview: int  # grows with every stored preview image; 0 = none
    prompt: str
    prompt_sent: str | None
    negative_prompt: str | None
    provider: str | None
    model: str | None
    width: int | None
    height: int | None
    seed: int | None
    params: Json
    asset_id: str | None
    error_key: str | None
    error_kind: ErrorKind | None
    error_args: Json
    charged: bool
    cost_micro: int
    unit: str | None
    rate_version: int | None
    retry_of: str | None
    cached_from: str | None
    provenance: Json
    owner: str
    team: str | None
    visibility: Visibility
    created_at: int
    started_at: int | None
    finished_at: int | None
    deleted_at: int | None
    rev: int
    seq: int  # order of arrival in this workspace

    @property
    def detail(self) -> str:
        """What is happening, or a remark, as text ("" if there is nothing to say)."""
        return detail_text(self.detail_key, self.detail_args)

    @property
    def error(self) -> GenerationError | None:
        """The failure, or None."""
        if self.error_kind is None:
            return None
        message = error_text(self.error_key or "provider", self.error_args)
        return GenerationError(self.error_kind, message, self.charged)

    @property
    def cost(self) -> Decimal:
        """What it cost, in `unit` (0 while it is not completed)."""
        return from_micro(self.cost_micro)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end, or None while it has not ended (never negative)."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, self.finished_at - self.started_at) / 1000


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """A stored image: exactly the bytes that arrived, named by their SHA-256."""

    id: str
    kind: str  # "image"
    mime: str
    width: int
    height: int
    size_bytes: int
    frames: int
    duration_ms: int | None
    source: str  # generation | upload | folder
    created_at: int


@dataclass(frozen=True, slots=True)
class InputRecord:
    """An asset that went into a generation: role is reference, source or mask."""

    generation_id: str
    asset_id: str
    role: str
    position: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one user thinks of one generation."""

    rating: int = 0
    favourite: bool = False
    tags: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True)
class GenerationView:
    """A generation with what a card shows besides: its image, and what the viewer thinks of it."""

    record: GenerationRecord
    asset: AssetRecord | None
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic with the number of its pictures and the asset of its cover."""

    record: TopicRecord
    images: int
    cover_asset: str | None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Batches of a topic, newest first, with the cursors beyond both ends (None: nothing there).

    `older` goes on with the direction "older", `newer` with "newer".
    """

    batches: tuple[BatchRecord, ...]
    older: str | None
    newer: str | None


@dataclass(frozen=True, slots=True)
class TopicPage:
    """Topics, the latest activity first, the cursor beyond them (None: that is all), the total."""

    topics: tuple[TopicView, ...]
    older: str | None
    total: int


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What is left in one unit, and the last booking."""

    unit: str
    amount_micro: int
    change_micro: int
    reason: str
    transaction_id: str | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """Audit row: one submission of a job to a provider (state: see `AttemptState`)."""

    id: str
    job_id: str
    generation_id: str | None  # None when one call serves several generations
    number: int
    provider: str
    model: str
    idempotency_key: str
    state: str
    remote_id: str | None
    remote: Json
    runner_id: str | None
    started_at: int
    sent_at: int | None
    finished_at: int | None
    error_kind: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One entry of the change feed.

    `data` holds changed fields up to 1 KiB each; the names of longer ones are in `omitted`.
    """

    seq: int
    entity: str
    id: str
    kind: str  # insert | update | delete
    rev: int
    data: Json
    omitted: tuple[str, ...]
    topic_id: str | None
    owner: str | None
    at: int


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of the change feed. `reset`: the cursor is too old or foreign; read all anew."""

    items: tuple[ChangeRecord, ...]
    cursor: str
    has_more: bool
    reset: bool


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One booking. The balance of an account is the sum of its `amount_micro`."""

    seq: int
    id: str
    account: str
    unit: str
    kind: str  # grant | reserve | settle | release | refund
    amount_micro: int
    generation_id: str | None
    attempt_key: str | None
    reason: str
    rate_version: int | None
    created_at: int


BY_PROVIDER = -1


class Price(Decimal):
    """Price per image of a model: a Decimal in `unit` that also knows its version.

    With the version `BY_PROVIDER` the provider bills it afterwards to whoever owns the key: the
    amount is an estimate (0: not known before), and no balance has to cover it.

    >>> price = Price(amount_micro=2_000_000)
    >>> price == 2, price.unit, price * 4
    (True, 'token', Decimal('8'))
    """

    unit: str
    amount_micro: int
    version: int

    def __new__(cls, *, unit: str = TOKEN, amount_micro: int = 0, version: int = 0) -> Self:
        """`amount_micro`: micro-units of `unit`; `version`: grows with every set price."""
        price = super().__new__(cls, from_micro(amount_micro))
        price.unit = unit
        price.amount_micro = amount_micro
        price.version = version
        return price

    @property
    def by_provider(self) -> bool:
        """True where the provider bills it, and the amount is an estimate."""
        return self.version == BY_PROVIDER

    @property
    def is_free(self) -> bool:
        """True where an image costs nobody anything."""
        return self.amount_micro == 0 and not self.by_provider

    @property
    def is_unknown(self) -> bool:
        """True where the provider bills it, and nobody knows before how much."""
        return self.amount_micro == 0 and self.by_provider

    def __reduce__(self) -> Any:
        return _rebuild_price, (self.unit, self.amount_micro, self.version)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        about = "about " if self.by_provider else ""
        return f"Price({about}{self} {self.unit})"


def _rebuild_price(unit: str, amount_micro: int, version: int) -> Price:
    return Price(unit=unit, amount_micro=amount_micro, version=version)


@dataclass(frozen=True, slots=True)
class Cap:
    """How much may be spent, and how much of it is gone (reserved amounts included).

    Attributes
    ----------
    scope:
        everybody, user or topic.
    subject:
        The user's name or the topic's id; "" for everybody.
    unit:
        "token" or a currency.
    per:
        day (of UTC) or total.
    limit_micro, spent_micro:
        In micro-units.
    """

    scope: str
    subject: str
    unit: str
    per: str
    limit_micro: int = 0
    spent_micro: int = 0

    @property
    def limit(self) -> Decimal:
        """What may be spent, in `unit`."""
        return from_micro(self.limit_micro)

    @property
    def spent(self) -> Decimal:
        """What was spent or is reserved, in `unit`."""
        return from_micro(self.spent_micro)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent (and is reserved) for one day, provider, model, topic or user, in one unit."""

    what: str
    unit: str
    spent_micro: int
    images: int
    not_known: int = 0  # of `images`: billed by the provider, amount not known


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A line of a chat; a topic seen as messages."""

    id: str
    topic_id: str
    role: str  # user | assistant | system
    text: str
    batch_id: str | None
    generation_id: str | None
    meta: Json
    owner: str
    created_at: int
    deleted_at: int | None
    rev: int


@dataclass(frozen=True, slots=True)
class TrashItem:
    """Something that can be restored until it is purged."""

    entity: str  # project | topic | batch | generation
    id: str
    title: str
    images: int
    deleted_at: int
    deleted_by: str
    topic_title: str = ""  # of a batch or generation: the topic that it comes back to
    picture_id: str | None = None  # the generation whose picture stands for it


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the event log."""

    seq: int
    at: int
    level: str  # info | warning | error
    kind: str  # runner | provider | callback | media | store | ...
    entity: str | None
    entity_id: str | None
    text: str
    data: Json
    owner: str | None


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What a cancel did: ids that became cancelled, and ids that had already ended."""

    cancelled: tuple[str, ...]
    already_ended: tuple[str, ...]
