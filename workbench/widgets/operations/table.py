"""Which function serves which operation of a page (those of the channel itself are the channel's).

Each takes the context and the arguments of a request, may block for a short while, and raises
`workbench.errors.WorkbenchError` with a sentence for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from workbench.widgets.operations import acting, files, looking, providers
from workbench.widgets.operations.context import Answer, Context

Handler = Callable[[Context, dict[str, Any]], Answer]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "topic.open": looking.topic_open,
        "topics": looking.topics,
        "page": looking.page,
        "batch": looking.batch,
        "generation": looking.generation,
        "walk": looking.walk,
        "thumbs": looking.thumbs,
        "previews": looking.previews,
        "estimate": looking.estimate,
        "deletion": looking.deletion,
        "active": looking.active,
        "python": looking.python,
        "prompts": looking.prompts,
        "trash": looking.trash,
        "spend": looking.spend,
        "file.open": files.file_open,
        "file.read": files.file_read,
        "file.close": files.file_close,
        "submit": acting.submit,
        "cancel": acting.cancel,
        "retry": acting.retry,
        "retry_failed": acting.retry_failed,
        "resolve": acting.resolve,
        "run_next": acting.run_next,
        "pause": acting.pause,
        "resume": acting.resume,
        "delete": acting.delete,
        "restore": acting.restore,
        "judge": acting.judge,
        "topic.create": acting.topic_create,
        "topic.update": acting.topic_update,
        "project.create": acting.project_create,
        "project.update": acting.project_update,
        "desk.set": acting.desk_set,
        "providers": providers.providers,
        "provider.test": providers.provider_test,
        "provider.refresh": providers.provider_refresh,
        "provider.set": providers.provider_set,
        "provider.key": providers.provider_key,
        "provider.forget": providers.provider_forget,
        "upload.begin": files.upload_begin,
        "upload.chunk": files.upload_chunk,
        "upload.end": files.upload_end,
        "upload.abort": files.upload_abort,
    }
)
