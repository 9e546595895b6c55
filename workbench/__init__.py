"""image-workbench: generate, watch, compare and keep AI images inside notebooks.

::

    import workbench as wb

    ws = wb.open()
    batch = ws.generate("a red fox in the snow", n=4, seed=7)

Importing this package does nothing but define names; everything is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench._version import __version__

if TYPE_CHECKING:
    from os import PathLike

    from workbench.domain.status import Status, generation_status_display, is_terminal
    from workbench.errors import (
        BudgetExceeded,
        ConfigurationError,
        DiskFull,
        EngineClosed,
        ImageRejected,
        InsufficientBalance,
        InvalidRequest,
        LimitReached,
        NotAllowed,
        NotFound,
        ProviderError,
        SchemaTooNew,
        StoreError,
        WorkbenchError,
        WorkspaceBusy,
        WorkspaceDamaged,
        WrongThread,
    )
    from workbench.widgets.config_panel import ConfigPanel
    from workbench.widgets.generation_feed import GenerationFeed
    from workbench.widgets.lightbox import Lightbox
    from workbench.widgets.prompt_box import PromptBox
    from workbench.widgets.token_balance import TokenBalance
    from workbench.widgets.topics_sidebar import TopicsSidebar
    from workbench.widgets.workbench import Workbench
    from workbench.workspace.asset import Asset
    from workbench.workspace.batch import Batch
    from workbench.workspace.generation import Generation
    from workbench.workspace.statuses import (
        assets_with_active_generations,
        assets_with_failed_generations,
        map_asset_to_generation,
        media_card_status,
        media_card_status_batch,
    )
    from workbench.workspace.topic import Project, Topic
    from workbench.workspace.workspace import Workspace

# `open` is public as well, but not here: a star import must keep the built-in one.
__all__ = [
    "Asset",
    "Batch",
    "BudgetExceeded",
    "ConfigPanel",
    "ConfigurationError",
    "DiskFull",
    "EngineClosed",
    "Generation",
    "GenerationFeed",
    "ImageRejected",
    "InsufficientBalance",
    "InvalidRequest",
    "Lightbox",
    "LimitReached",
    "NotAllowed",
    "NotFound",
    "Project",
    "PromptBox",
    "ProviderError",
    "SchemaTooNew",
    "Status",
    "StoreError",
    "TokenBalance",
    "Topic",
    "TopicsSidebar",
    "Workbench",
    "WorkbenchError",
    "Workspace",
    "WorkspaceBusy",
    "WorkspaceDamaged",
    "WrongThread",
    "__version__",
    "assets_with_active_generations",
    "assets_with_failed_generations",
    "generation_status_display",
    "is_terminal",
    "map_asset_to_generation",
    "media_card_status",
    "media_card_status_batch",
]

_LAZY = {
    "BudgetExceeded": "workbench.errors",
    "ConfigurationError": "workbench.errors",
    "DiskFull": "workbench.errors",
    "EngineClosed": "workbench.errors",
    "ImageRejected": "workbench.errors",
    "InsufficientBalance": "workbench.errors",
    "InvalidRequest": "workbench.errors",
    "LimitReached": "workbench.errors",
    "NotAllowed": "workbench.errors",
    "NotFound": "workbench.errors",
    "ProviderError": "workbench.errors",
    "SchemaTooNew": "workbench.errors",
    "StoreError": "workbench.errors",
    "WorkbenchError": "workbench.errors",
    "WorkspaceBusy": "workbench.errors",
    "WorkspaceDamaged": "workbench.errors",
    "WrongThread": "workbench.errors",
    "Asset": "workbench.workspace.asset",
    "Batch": "workbench.workspace.batch",
    "Generation": "workbench.workspace.generation",
    "Project": "workbench.workspace.topic",
    "Status": "workbench.domain.status",
    "Topic": "workbench.workspace.topic",
    "Workspace": "workbench.workspace.workspace",
    "ConfigPanel": "workbench.widgets.config_panel",
    "GenerationFeed": "workbench.widgets.generation_feed",
    "Lightbox": "workbench.widgets.lightbox",
    "PromptBox": "workbench.widgets.prompt_box",
    "TokenBalance": "workbench.widgets.token_balance",
    "TopicsSidebar": "workbench.widgets.topics_sidebar",
    "Workbench": "workbench.widgets.workbench",
    "assets_with_active_generations": "workbench.workspace.statuses",
    "assets_with_failed_generations": "workbench.workspace.statuses",
    "generation_status_display": "workbench.domain.status",
    "is_terminal": "workbench.domain.status",
    "map_asset_to_generation": "workbench.workspace.statuses",
    "media_card_status": "workbench.workspace.statuses",
    "media_card_status_batch": "workbench.workspace.statuses",
}


def open(  # noqa: A001 - the public name; not in __all__, so a star import keeps the built-in
    location: str | PathLike[str] | None = None,
    *,
    user: str | None = None,
    team: str | None = None,
    run_jobs: bool | None = None,
) -> Workspace:
    """Open a workspace, creating it if it is not there.

    Parameters
    ----------
    location:
        A folder or ``"sqlite:///folder"``. None: the folder in WORKBENCH_HOME, else the nearest
        ``.workbench`` upwards from the notebook's folder, else a new one there.
    user:
        Under which name rows are owned; None: as WORKBENCH_IDENTITY says, without it
        WORKBENCH_USER, else the system's user.
    team:
        Whose shared topics are seen as well.
    run_jobs:
        False: this process only submits and watches; a worker elsewhere does the work. None:
        True, unless WORKBENCH_RUN_JOBS is 0.

    Returns
    -------
    Workspace
        The same location twice in a process shares one engine. Close it, or use it in a ``with``
        block; what is queued then is done by whoever opens it next.

    Raises
    ------
    InvalidRequest, ConfigurationError
        For a location, name or setting that cannot be used.
    StoreError
        If the workspace is busy, damaged, or of a newer version.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with wb.open(tempfile.mkdtemp()) as ws:
    ...     ws.topics()
    []
    """
    from workbench.workspace.workspace import open_workspace

    return open_workspace(location, user=user, team=team, run_jobs=run_jobs)


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics: ``%load_ext workbench``."""
    from workbench.jupyter import load_ipython_extension as load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away: ``%unload_ext workbench``."""
    from workbench.jupyter import unload_ipython_extension as unload

    unload(ipython)


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "open", "load_ipython_extension", "unload_ipython_extension"})
