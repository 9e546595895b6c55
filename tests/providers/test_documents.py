"""Our dialects against their emulators, every request and answer held against vendors' documents.

Three documents are beside the tests (documents/README.md). Others are in no repository of ours:
their tests run where WORKBENCH_TEST_DOCUMENTS names the folder that has them.
"""

from __future__ import annotations

import inspect
import os

import pytest

from tests.providers.comparison import Vendor, check
from tests.providers.official import FORM, given, shipped
from tests.providers.openai.world import MODEL, added
from tests.providers.world import ended, wait_noted
from workbench.testing.emulators.openai import FORMS, JSON_EDIT, TAKES
from workbench.testing.pictures import png

FOLDER = os.environ.get("WORKBENCH_TEST_DOCUMENTS", "")  # no test sees it: tests/conftest.py
EDITS = "/v1/images/edits"

SHIPPED = [
    Vendor(
        "oai",
        "openai",
        newer=(
            r"quality: '(xhigh|max)' is not one of",  # the SDK has them
            r"size: '\d+x\d+' is not one of",  # any size goes since gpt-image-2
        ),
        untold=("POST .* event error",),  # streams end with an error where they fail
        error="ErrorResponse",
        least={"form": 50, "request": 50, "reply": 50, "event": 100, "error": 10},
    ),
    Vendor(
        "together",
        "together",
        untold=("GET /v1/models", "reply [45].."),
        least={"request": 50, "reply": 50},
    ),
    Vendor(
        "localai",
        "localai",
        newer=("'file' is a required property",),  # of every request, as if all were recordings
        untold=("GET /v1/models", "reply [45].."),
        least={"request": 10, "reply": 10},
    ),
]
GIVEN = [
    Vendor(
        "openrouter",
        "openrouter",
        newer=(r"quality: '(xhigh|max)' is not one of",),  # its list of models has them
        untold=("GET /api/v1/key", "reply 503"),
        least={"request": 50, "reply": 50, "event": 10, "error": 10},
    ),
    Vendor(
        "rep",
        "replicate",
        newer=(
            # "One of" an id and a constant that is such an id, too.
            "version: 'hidden' is valid under each of",
            "/files: (etag|name): the document has no such field",  # the SDK has them
        ),
        untold=("^GET /delivery/", "reply [45]..", "collections"),
        least={"request": 50, "form": 1, "reply": 100},
    ),
    Vendor(
        "fal",
        "fal",
        untold=(r"^\w+ /(?!v1/)",),  # it is that of models and prices, not of the queue
        options=lambda server: {"platform_url": server.platform_url},
        least={"reply": 1},
    ),
    Vendor(
        "bfl",
        "bfl",
        untold=("^GET /files/", "reply [45].. "),
        least={"request": 100, "reply": 200},
    ),
    Vendor(
        "pixverse",
        "pixverse",  # somebody else's, after the vendor's pages: the vendor has none
        newer=("Resp: None is not of type 'object'",),  # with an error
        untold=("^GET /media/", "reply [45].. "),
        least={"form": 20, "request": 10, "reply": 50},
    ),
]


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("vendor", SHIPPED, ids=lambda one: one.document)
def test_what_is_sent_and_answered_is_as_the_vendors_document_has_it(vendor):
    print(vendor.dialect, check(vendor, shipped(vendor.document)))


@pytest.mark.req("PRV-2")
@pytest.mark.skipif(
    not FOLDER,
    reason="the vendor's document states no licence, so that it is not here; "
    "WORKBENCH_TEST_DOCUMENTS names a folder that has it",
)
@pytest.mark.parametrize("vendor", GIVEN, ids=lambda one: one.document)
def test_what_is_sent_and_answered_is_as_a_document_has_it_that_is_not_ours_to_ship(vendor):
    document = given(FOLDER, vendor.document)
    if document is None:
        pytest.skip(f"WORKBENCH_TEST_DOCUMENTS names a folder without {vendor.document}*.json")
    print(vendor.dialect, document.source, check(vendor, document))


# -- fields of ours and the documents' ------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-8")
def test_an_edit_has_the_fields_of_a_form_and_says_what_it_left_out(ws, openai):
    """A generation has "moderation", an edit's form has not: the API refuses such a form."""
    from openai.resources.images import Images

    added(ws, openai)
    document = shipped("openai")
    form = document.posted(EDITS, FORM)
    every = {
        "moderation": "low",
        "quality": "high",
        "background": "opaque",
        "partial_images": 2,
        "output_format": "webp",
        "output_compression": 80,
        "width": 1536,
        "height": 1024,
    }
    done = ended(ws.generate("a hat", model=MODEL, references=[png("a"), png("b")], **every))
    assert done.status == "completed"
    fields = document.read_form(openai.requests[0], form)
    assert document.faults_in(fields, form) == []
    assert set(fields) == {
        *("prompt", "model", "n", "size", "quality", "background", "stream", "partial_images"),
        *("output_format", "output_compression", "image"),
    }
    assert set(fields) <= set(inspect.signature(Images.edit).parameters)
    wait_noted(ws, "takes no moderation with images: it was left out")
    ended(ws.generate("a hat", model=MODEL, **every))
    assert openai.requests[1].json()["moderation"] == "low"


@pytest.mark.parametrize(
    "field",
    [{"moderation": "low"}, {"nonsense": "1"}, {"quality": "ultra"}, {"n": "many"}],
    ids=str,
)
def test_the_emulator_refuses_a_form_as_the_api_does(openai, field):
    import openai as sdk

    with (
        sdk.OpenAI(api_key=openai.key, base_url=openai.base_url, max_retries=0) as official,
        pytest.raises(sdk.BadRequestError, match=next(iter(field))),
    ):
        official.images.edit(
            model="gpt-image-2", prompt="a hat", image=("a.png", png("a")), extra_body=field
        )
    assert openai.images_charged == 0


@pytest.mark.req("PRV-2")
def test_the_openai_emulator_takes_the_documents_fields():
    document = shipped("openai")
    generation = set(document.fields(document.named("CreateImageRequest")))
    # These two belong to models that are gone.
    assert set(TAKES["openai"]) == generation - {"response_format", "style"}
    edit = set(document.fields(document.posted(EDITS, FORM)))
    assert set(FORMS["openai"]) == edit - {"response_format", "image", "mask"}
    assert set(JSON_EDIT) == set(document.fields(document.posted(EDITS)))


# -- the documents are read -----------------------------------------------------------------------

GOOD = {
    "id": "1",
    "model": "m",
    "object": "list",
    "data": [{"index": 0, "type": "b64_json", "b64_json": "AAAA"}],
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"created": 1}, "created: the document has no such field"),
        ({"object": "bag"}, "object: 'list' was expected"),
        ({"id": 5}, "id: 5 is not of type 'string'"),
        ({"data": [{**GOOD["data"][0], "b64_json": None}]}, "data/0/b64_json: None is not of type"),
        ({"data": [{**GOOD["data"][0], "seed": 1}]}, "data/0/seed: the document has no such field"),
        ({"data": [{"index": 0, "type": "b64_json"}]}, "'b64_json' is a required property"),
    ],
    ids=str,
)
def test_whatever_is_otherwise_than_a_document_is_told(changes, said):
    document = shipped("together")
    told = document.faults_in({**GOOD, **changes}, document.named("ImageResponse"))
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


def test_null_is_taken_where_a_document_calls_it_nullable():
    document = shipped("openai")
    schema = document.named("CreateImageRequest")
    assert document.faults_in({"prompt": "a fox", "quality": None}, schema) == []
    assert document.faults_in({"prompt": None}, schema) == ["prompt: None is not of type 'string'"]
    (told,) = document.faults_in({"prompt": "a fox", "quality": "ultra"}, schema)
    assert told.startswith("quality: 'ultra' is not one of")
