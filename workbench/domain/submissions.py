"""What is new to a store: requests and imports, checked and ready to be stored."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.domain.limits import VisitorLimits
from workbench.domain.records import AssetRecord, Identity, Json, Price
from workbench.domain.status import Operation


@dataclass(frozen=True, slots=True)
class NewInput:
    """An input image of a new batch; its asset is already stored."""

    asset: AssetRecord
    role: str = "reference"
    position: int = 0


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A checked request, ready to be stored: nothing in it needs a provider's word any more.

    `seeds` has one entry per image (None where the provider takes no seeds). `topic_id` None means
    that a topic is created in the same transaction. `lane` groups jobs under one limit. `price` is
    per image. `limits` are those of visitors (None: no limits).
    """

    identity: Identity
    topic_id: str | None
    prompt: str
    negative_prompt: str | None
    provider: str
    model: str  # full id, "provider:name"
    n: int
    seed: int | None
    seeds: tuple[int | None, ...]
    width: int | None
    height: int | None
    params: Json
    operation: Operation = Operation.GENERATE
    source: str = "api"
    project_id: str | None = None
    inputs: tuple[NewInput, ...] = ()
    lane: str = ""
    batchable: bool = False
    priority: int = 0
    client_key: str | None = None
    price: Price = field(default_factory=Price)
    provenance: Json = field(default_factory=dict)
    topic_title: str = ""  # title for a new or untitled topic (from the prompt)
    needed_assets: tuple[str, ...] = ()  # must have rows when it is stored (they may be purged)
    limits: VisitorLimits | None = None


@dataclass(frozen=True, slots=True)
class NewImport:
    """Images that are already there: completed generations without a provider."""

    identity: Identity
    topic_id: str | None
    items: tuple[tuple[AssetRecord, str], ...]  # asset and the text shown as its prompt
    source: str = "upload"  # upload | folder
    client_key: str | None = None
    topic_title: str = ""
    needed_assets: tuple[str, ...] = ()  # as in NewBatch
