"""Images that go into a job: found by their role, read, and put into the form that is sent."""

from __future__ import annotations

import asyncio
import base64

from workbench.domain.jobs import JobInput, JobRequest
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError, WorkbenchError
from workbench.providers.pictures import painted
from workbench.providers.redaction import plain

# Of names of files that are sent; a kind that is not here is sent under the first one's.
ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


def inputs_of(request: JobRequest, *roles: str) -> list[JobInput]:
    """Return the images that go in with these roles (source, reference, mask), in their order."""
    found = [one for one in request.inputs if one.role in roles]
    return sorted(found, key=lambda one: (roles.index(one.role), one.position))


async def read_input(given: JobInput) -> bytes:
    """Read an image that goes in.

    Raises
    ------
    ProviderError
        It cannot be read any more.
    """
    try:
        return await asyncio.to_thread(given.read)
    except ProviderError:
        raise  # it says so already
    except (WorkbenchError, OSError) as error:
        raise ProviderError(
            ErrorKind.BAD_REQUEST, f"A reference image cannot be read: {plain(str(error))}"
        ) from None


async def read_mask(given: JobInput) -> bytes:
    """Read a mask as a PNG that is white where it is to be painted anew; errors as `read_input`."""
    return await painted(await read_input(given))


async def base64_of(content: bytes) -> str:
    """Return bytes as base64; of a large picture that takes too long for the loop."""
    return (await asyncio.to_thread(base64.b64encode, content)).decode("ascii")


async def data_url(given: JobInput) -> str:
    """Return an image that goes in as a ``data:`` address; errors as `read_input`."""
    return f"data:{given.mime};base64,{await base64_of(await read_input(given))}"
