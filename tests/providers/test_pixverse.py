"""PixVerse's dialect through the real engine, against an emulator that counts charges.

There is no client for their templates to compare with (their own one makes videos): the emulator
checks each request against the facts of their reference and their page of error codes, which it has
on its own. test_documents.py holds both against a document that somebody else made of those pages.
"""

from __future__ import annotations

import json
import logging
import uuid

import pytest

import workbench as wb
from tests.providers.checks import (
    DRIPPING,
    LOST,
    REDIRECTED,
    TOO_LATE,
    assert_account,
    assert_refused,
    assert_sentence,
    assert_unknown,
    came_late,
    failed_downloads,
    no_pictures,
    patience_with,
    shown_after,
)
from tests.providers.world import (
    PUT_OFF,
    added_to,
    assert_nowhere,
    drained,
    fast,
    job_request,
    only,
    provider_on,
)
from tests.waiting import until
from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobInput,
    JobRequest,
    Queued,
    Running,
    Slot,
)
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import load
from workbench.providers.pixverse import PixVerse
from workbench.testing.emulators.pixverse import TEMPLATE, PixVerseEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

CANARY = "pix-canary-0123456789abcdefghij"
MADE = png("from a template")


@pytest.fixture(autouse=True)
def in_no_time(quick_retries: None) -> None:
    """Everything here is tried again soon."""


@pytest.fixture
def server():
    with PixVerseEmulator() as one:
        yield one


def made_with(server: PixVerseEmulator, **changes) -> PixVerse:
    return provider_on(PixVerse, "pix", server, **changes)


def added(ws, server: PixVerseEmulator, **changes) -> PixVerse:
    return added_to(ws, made_with(server, **changes))


def asked(ws, **changes) -> wb.Batch:
    given = {"model": "pix:image-template", "references": [png("me")], **changes}
    return ws.generate("my cat as a knight", **given)


def sent_to(server: PixVerseEmulator, path: str) -> list:
    return [seen for seen in server.requests if path in seen.path]


def begun(server: PixVerseEmulator) -> list:
    return sent_to(server, "template/generate")


def at(path: str, *faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if path in seen.path and left else None


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-8")
def test_images_are_uploaded_and_a_template_is_applied(ws, server):
    added(ws, server)
    made = only(asked(ws, source=png("first"), references=[png("second"), png("third")]))
    assert (made.status, made.operation) == ("completed", "edit")
    assert made.asset.path.read_bytes() == MADE
    assert made.seed == 77
    assert made.cost == 0  # nobody here knows what a credit is worth
    uploads = sent_to(server, "image/upload")
    assert [
        (part.name, part.content_type, part.content) for seen in uploads for part in seen.parts()
    ] == [("image", "image/png", png(name)) for name in ("first", "second", "third")]
    (seen,) = begun(server)
    assert seen.json() == {"img_ids": [1000, 1001, 1002], "template_id": TEMPLATE}
    ours = [one for one in server.requests if "/media/" not in one.path]
    assert {one.headers["api-key"] for one in ours} == {server.key}
    assert "api-key" not in server.requests[-1].headers
    assert server.images_charged == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2", "TOK-5")
def test_every_request_has_a_trace_of_its_own(ws, server):
    """Their document: a UUID, unique for each request; one that comes twice is said to hang."""
    added(ws, server)
    assert only(asked(ws, references=[png("a"), png("b")])).status == "completed"
    assert len(server.traces) == len(set(server.traces)) >= 5
    assert all(str(uuid.UUID(trace)) == trace for trace in server.traces)


def test_a_trace_that_came_before_hangs_in_the_emulator(server):
    import httpx

    headers = {"API-KEY": server.key, "Ai-trace-id": str(uuid.uuid4())}
    with httpx.Client(base_url=server.base_url, headers=headers) as client:
        image = client.post("image/upload", files={"image": ("a.png", png("a"), "image/png")})
        body = {"img_ids": [image.json()["Resp"]["img_id"]], "template_id": TEMPLATE}
        job = client.post("image/template/generate", json=body).json()["Resp"]
        assert job["credits"] == 10
        path = f"image/result/{job['image_id']}"
        assert {client.get(path).json()["Resp"]["status"] for _ in range(4)} == {5}
    (trace,) = set(server.traces)
    assert trace == headers["Ai-trace-id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"img_ids": [], "template_id": TEMPLATE}, 400017),
        ({"img_ids": [1000] * 5, "template_id": TEMPLATE}, 400017),
        ({"img_ids": [1000]}, 400017),
        ({"img_ids": [1000], "template_id": TEMPLATE, "prompt": "x"}, 400017),
        ({"img_ids": [1000], "template_id": str(TEMPLATE)}, 400013),
        ({"img_ids": [999], "template_id": TEMPLATE}, 400032),
        ({"img_ids": [1000], "template_id": 1}, 500070),
        ({"img_ids": [1000], "template_id": TEMPLATE}, 0),
    ],
)
def test_the_emulator_takes_what_their_document_has_and_nothing_else(server, body, code):
    import httpx

    def post(path: str, trace: str | None = None, **given) -> int:
        headers = {"API-KEY": server.key, "Ai-trace-id": trace or str(uuid.uuid4())}
        answer = httpx.post(f"{server.base_url}/{path}", headers=headers, **given)
        return answer.json()["ErrCode"]

    assert post("image/upload", files={"image": ("a.png", png("a"), "image/png")}) == 0
    assert post("image/upload", files={"image": ("a.gif", b"GIF", "image/gif")}) == 500032
    assert post("image/upload", files={"picture": ("a.png", png("a"), "image/png")}) == 400017
    assert post("image/upload", data={"image": "x"}) == 400013
    assert post("image/template/generate", "no uuid", json=body) == 400013
    assert post("image/template/generate", json=body) == code
    assert httpx.get(f"{server.base_url}/account/balance").json()["ErrCode"] == 400012
    assert len(server.charges) == (code == 0)


@pytest.mark.req("PRV-2")
def test_several_pictures_are_several_jobs(ws, server):
    server.templates = {7: 1}
    added(ws, server)
    done = asked(ws, n=3, template_id=7).wait(30)
    assert done.status == "completed"
    assert [seen.json()["template_id"] for seen in begun(server)] == [7, 7, 7]
    assert server.images_charged == 3


@pytest.mark.req("PRV-2")
def test_key_and_address_come_from_the_environment(ws, server, monkeypatch):
    monkeypatch.setenv("PIXVERSE_API_KEY", server.key)
    monkeypatch.setenv("PIXVERSE_BASE_URL", f"{server.base_url}/")
    ws.add_provider(PixVerse(pace=fast))
    assert only(asked(ws, model="pixverse:image-template")).status == "completed"


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_a_key_it_says_what_is_missing():
    state = PixVerse().state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "PIXVERSE_API_KEY" in state.message


def test_words_alone_are_refused_before_anything_is_sent(ws, server):
    added(ws, server)
    with pytest.raises(InvalidRequest, match="does not do generate"):
        asked(ws, references=())
    assert server.requests == []


@pytest.mark.req("TOK-6")
def test_no_price_is_made_up():
    (entry,) = load("pixverse", "pix").entries.values()
    assert entry.model.price.amount_micro == 0
    assert entry.model.price.by_provider
    assert not entry.model.seeds
    assert "prices are not known" in PixVerse.help


# -- on the way -----------------------------------------------------------------------------------


def asked_for(*, images: int = 1, **changes) -> JobRequest:
    given = {
        "model": "image-template",
        "operation": Operation.EDIT,
        "params": {"template_id": TEMPLATE},
        "slots": (Slot("g", 4, None),),
        "inputs": (JobInput("a", "source", 0, "image/png", lambda: png("a")),) * images,
    }
    return job_request(**{**given, **changes})


@pytest.mark.req("PRV-4")
async def test_unknown_and_repeated_numbers_are_waited_out(server):
    server.states = (5, 5, 9, 10, 5)
    provider = made_with(server)
    *on_the_way, ready, done = await drained(provider, asked_for())
    await provider.close()
    assert on_the_way == [
        Queued(),
        Queued(),
        Running(index=4),
        Running(index=4),
        Queued(),
    ]
    assert ready == ImageReady(MADE, 4, seed=77)
    assert done == Done(usage={"image_id": "9007199254740993", "credits": 10})


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(status=200, code="500069"),
        Fault(status=200, code="99999"),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=20),
        Fault(status=200, body=b"[]"),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, server, fault):
    added(ws, server)
    server.fault_of = at("image/result", fault, fault)
    assert only(asked(ws)).status == "completed"
    assert len(begun(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_a_job_goes_on_in_another_process_by_its_reference_alone(workspace_home, server):
    server.states = (5,) * 1_000
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = asked(ws)
        until(lambda: sent_to(server, "image/result"))
    for job in server._jobs.values():
        job.states.clear()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        assert only(again.batch(batch.id)).status == "completed"
        assert again.doctor().problems == []
    assert len(begun(server)) == server.images_charged == 1


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_job_is_followed_because_it_is_paid_for(ws, server):
    server.states = (5,) * 10_000
    added(ws, server)
    batch = asked(ws)
    until(lambda: sent_to(server, "image/result"))
    batch.cancel()
    for job in server._jobs.values():
        job.states.clear()
    assert came_late(batch)


# -- refusals -------------------------------------------------------------------------------------

REFUSED = [
    (Fault(status=200, code="400012"), "auth", "Invalid account."),
    (Fault(status=200, code="500020"), "auth", "permission"),
    (Fault(status=200, code="500090"), "quota", "no credit"),
    (Fault(status=200, code="500054"), "blocked", "content policy"),
    (Fault(status=200, code="500070"), "bad_request", "template is not activated."),
    (Fault(status=200, code="400017"), "bad_request", "Invalid parameter."),
    (Fault(status=200, code="400999"), "bad_request", "This was asked for by a test."),
    (Fault(status=200, body=b'{"ErrCode": 400998, "ErrMsg": ""}'), "bad_request", "Error 400998."),
    (Fault(status=401), "auth", "its key"),
    (Fault(status=404), "bad_request", "Requested data not found."),
    REDIRECTED,
    # As their reference shows what an image that was not passed is answered with.
    (Fault(status=500, body=b'{"err_code": 500052, "err_msg": "x"}'), "blocked", "content policy"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
@pytest.mark.parametrize("path", ["image/upload", "template/generate"])
def test_a_refusal_is_typed_and_costs_nothing(ws, server, fault, kind, said, path):
    added(ws, server)
    server.fault_of = at(path, fault)
    error = only(asked(ws)).error
    assert_refused(server, error, kind, said)
    assert_sentence(error)
    assert server.charges == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, code="500044"),
        Fault(status=200, code="500069"),
        Fault(status=200, code="500100"),
        *PUT_OFF,
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["image/upload", "template/generate"])
def test_what_is_put_off_is_made_once(ws, server, fault, path):
    added(ws, server)
    server.fault_of = at(path, fault)
    assert only(asked(ws)).status == "completed"
    assert server.images_charged == 1
    assert len(server.traces) == len(set(server.traces))


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        *LOST,
        Fault(reset_after=20),
        Fault(status=200, body=b'{"ErrCode": 0, "Resp": null}'),
        Fault(status=200, body=b'{"Resp": {"image_id": 7}}'),
        TOO_LATE,
        DRIPPING,
    ],
    ids=repr,
)
def test_a_submission_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=patience_with(fault))
    server.fault_of = at("template/generate", fault)
    made = only(asked(ws))
    assert_unknown(ws, made)
    assert len(begun(server)) == 1
    assert server.images_charged in (0, 1)


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault", [Fault(reset_after=0), Fault(status=502), Fault(status=200, body=b'{"ErrCode": 0}')]
)
def test_an_upload_without_an_answer_is_made_again_since_it_is_free(ws, server, fault):
    added(ws, server)
    server.fault_of = at("image/upload", fault)
    assert only(asked(ws)).status == "completed"
    assert len(begun(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7", "TOK-2")
def test_moderation_of_the_result_is_a_block(ws, server):
    server.ends = 7
    added(ws, server)
    error = only(asked(ws)).error
    assert (error.kind, error.charged) == ("blocked", False)
    assert len(sent_to(server, "image/result")) == 2


@pytest.mark.req("PRV-7")
def test_a_job_that_failed_there_fails_at_once(ws, server):
    server.ends = 8
    added(ws, server)
    error = only(asked(ws)).error
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "began the picture and failed" in error.message
    assert len(sent_to(server, "image/result")) == 2


@pytest.mark.req("PRV-7")
def test_success_without_a_picture_is_a_block(ws, server):
    added(ws, server)
    server.fault_of = at("template/generate", Fault(images=0))
    assert only(asked(ws)).error.kind == "blocked"


@pytest.mark.req("PRV-7", "TOK-2")
def test_success_with_its_picture_in_a_field_of_another_name_is_no_block(ws, server):
    added(ws, server)
    said = {"ErrCode": 0, "Resp": {"status": 1, "picture": "https://pictures.example/1.png"}}
    server.fault_of = at("image/result", Fault(status=200, body=json.dumps(said).encode()))
    error = only(asked(ws)).error
    assert (error.kind, error.charged) == ("bad_image", True)


def test_more_pictures_than_one_are_one(ws, server):
    added(ws, server)
    server.fault_of = at("template/generate", Fault(images=3))
    done = asked(ws).wait(30)
    assert (done.status, len(done.all_generations())) == ("completed", 1)


@pytest.mark.req("PRV-7")
@no_pictures
def test_bytes_that_are_no_picture_fail(ws, server, fault):
    added(ws, server)
    server.fault_of = at("template/generate", fault)
    assert only(asked(ws)).error.kind == "bad_image"


@pytest.mark.req("PRV-5", "PRV-7", "TOK-5")
@failed_downloads
def test_a_picture_that_could_not_be_fetched_is_fetched_again(ws, server, fault):
    added(ws, server)
    server.fault_of = at("/media/", fault)
    assert only(asked(ws)).status == "completed"
    assert len(begun(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("what", ["address", "job", "key"])
def test_what_cannot_be_asked_for_any_more_is_an_unknown_outcome(ws, server, what):
    added(ws, server)
    if what == "address":
        server.expired = 1_000
    else:
        code = "500008" if what == "job" else "400012"
        server.fault_of = at("image/result", *([Fault(status=200, code=code)] * 100))
    made = only(asked(ws))
    assert_unknown(ws, made)
    assert len(begun(server)) == server.images_charged == 1


# -- small things ---------------------------------------------------------------------------------


async def test_what_is_wrong_here_is_said_before_anything_is_sent(server):
    provider = made_with(server)
    with pytest.raises(ProviderError, match=r"no model gpt-image any more\.") as caught:
        await provider.submit(asked_for(model="gpt-image"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    with pytest.raises(InvalidRequest, match="which template"):
        await provider.submit(asked_for(params={}))
    with pytest.raises(InvalidRequest, match="1 to 4 images; 5 were given"):
        await provider.submit(asked_for(images=5))
    large = JobInput("a", "source", 0, "image/png", lambda: b"x" * 20_000_001)
    with pytest.raises(InvalidRequest, match="at most 20 MB"):
        await provider.submit(asked_for(inputs=(large,)))
    await provider.close()
    assert server.requests == []


async def test_an_image_without_an_id_is_no_image(server):
    provider = made_with(server)
    server.faults = [Fault(status=200, body=b'{"ErrCode": 0, "Resp": {"img_id": "x"}}')]
    with pytest.raises(ProviderError, match="no id for an uploaded image") as caught:
        await provider.submit(asked_for())
    assert not caught.value.maybe_sent
    await provider.close()


@pytest.mark.req("PRV-7")
async def test_the_account_can_be_asked_without_cost(server):
    said = "PixVerse answered; 117 credits are left."
    await assert_account(made_with, server, said, wrong_key="pix-wrong-0123456789")


async def test_an_account_that_names_no_figures_is_not_said_to_be_empty(server):
    provider = made_with(server)
    server.faults = [Fault(status=200, body=b'{"ErrCode": 0, "Resp": {"account_id": 1}}')]
    assert await provider.test() == "PixVerse answered; it does not say what is left."
    server.faults = [Fault(status=200, body=b'{"ErrCode": 0, "Resp": {"credit_monthly": 0}}')]
    assert await provider.test() == "PixVerse answered; 0 credits are left."
    await provider.close()


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with PixVerseEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("PIXVERSE_API_KEY", CANARY)
        monkeypatch.setenv("PIXVERSE_BASE_URL", server.base_url)
        provider = PixVerse(pace=fast)
        ws.add_provider(provider)
        faults = (
            None,
            Fault(status=401, body=f'{{"ErrCode": 1, "ErrMsg": "no {CANARY}"}}'.encode()),
            Fault(status=200, body=f'{{"ErrCode": 400017, "ErrMsg": "{CANARY}"}}'.encode()),
            Fault(status=500, body=f'{{"err_code": 1, "err_msg": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(image=CANARY.encode()),
        )

        def meet(fault: Fault | None) -> wb.Batch:
            server.fault_of = at("template/generate", *([fault] if fault else []))
            return asked(ws, model="pixverse:image-template")

        shown = shown_after(ws, provider, faults, meet)
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)
