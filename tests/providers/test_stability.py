"""Stability AI's dialect through the real engine, against an emulator that counts charges.

There is no client of theirs to compare with: the emulator checks each form against the facts of
their OpenAPI document (fields, kinds, ranges), which it has on its own.
"""

from __future__ import annotations

import io
import json
import logging
import time
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from workbench.domain.jobs import JobInput, JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import load
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.providers.stability import Stability
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.server import Fault
from workbench.testing.emulators.stability import StabilityEmulator
from workbench.testing.pictures import png
from workbench.workspace import engine

CANARY = "sk-canary-0123456789abcdefghij"
CORE = "stab:stable-image-core"
CREATIVE = "stab:upscale-creative"


def fast() -> Pace:
    return Pace(first_s=0.01, longest_s=0.05)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    def settings(**changes):
        return RunnerSettings(backoff_base_s=0.02, backoff_cap_s=0.1, **changes)

    monkeypatch.setattr(engine, "RunnerSettings", settings)


@pytest.fixture
def server():
    with StabilityEmulator() as one:
        yield one


def made_with(server: StabilityEmulator, **changes) -> Stability:
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    provider = Stability("stab", **given)
    provider.penalty_s = 0.05
    return provider


def added(ws, server: StabilityEmulator, **changes) -> Stability:
    provider = made_with(server, **changes)
    ws.add_provider(provider)
    return provider


def only(batch: wb.Batch):
    (generation,) = batch.wait(30).generations
    return generation


def fields_of(seen) -> dict[str, str]:
    return {part.name: part.content.decode() for part in seen.parts() if part.filename is None}


def files_of(seen) -> dict[str, tuple[str, bytes]]:
    return {part.name: (part.content_type, part.content) for part in seen.parts() if part.filename}


def posts(server: StabilityEmulator) -> list:
    return [seen for seen in server.requests if seen.method == "POST"]


def polls(server: StabilityEmulator) -> int:
    return sum(seen.path.startswith("/v2beta/results/") for seen in server.requests)


def upscaled(ws, **changes) -> wb.Batch:
    given = {"model": CREATIVE, "source": png("small"), "operation": "upscale", **changes}
    return ws.generate("a sharp fox", **given)


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_with_what_they_cost(ws, server):
    added(ws, server)
    done = ws.generate(
        "a red fox, “狐”", model=CORE, n=3, seed=7, aspect_ratio="16:9", negative_prompt="fog"
    ).wait(30)
    assert done.status == "completed"
    expected = png("a red fox, “狐”")
    assert [g.asset.path.read_bytes() for g in done.generations] == [expected] * 3
    assert [(g.cost, g.record.unit) for g in done.generations] == [(Decimal("0.03"), "USD")] * 3
    assert [g.seed for g in done.generations] == [7, 8, 9]
    assert server.images_charged == 3
    assert ws.balances()["USD"] == -Decimal("0.09")
    assert {seen.path for seen in server.requests} == {"/v2beta/stable-image/generate/core"}
    assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {server.key}"}
    assert {seen.headers["accept"] for seen in server.requests} == {"image/*"}
    asked = sorted((fields_of(seen) for seen in server.requests), key=lambda one: one["seed"])
    assert asked == [
        {
            "prompt": "a red fox, “狐”",
            "negative_prompt": "fog",
            "seed": str(seed),
            "aspect_ratio": "16:9",
            "output_format": "png",
        }
        for seed in (7, 8, 9)
    ]
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_a_form_without_files_is_multipart_all_the_same(ws, server):
    """The API refuses urlencoded forms, and that is what a client makes of text fields alone."""
    added(ws, server)
    assert only(ws.generate("a fox", model=CORE)).status == "completed"
    (seen,) = server.requests
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert all(part.filename is None for part in seen.parts())


def test_an_urlencoded_form_is_refused_by_the_emulator_as_by_them(server):
    import httpx

    answer = httpx.post(
        f"{server.url}/v2beta/stable-image/generate/core",
        headers={"Authorization": f"Bearer {server.key}"},
        data={"prompt": "a fox"},
    )
    assert (answer.status_code, answer.json()["name"]) == (400, "bad_request")


def test_the_form_of_their_own_examples_is_taken_by_the_emulator(server):
    """They send an empty file beside the fields, so that a client makes a multipart form."""
    import httpx

    answer = httpx.post(
        f"{server.url}/v2beta/stable-image/generate/core",
        headers={"Authorization": f"Bearer {server.key}", "Accept": "image/*"},
        data={"prompt": "a fox", "seed": "7"},
        files={"none": b""},
    )
    assert (answer.status_code, answer.content) == (200, png("a fox"))
    assert (answer.headers["seed"], answer.headers["finish-reason"]) == ("7", "SUCCESS")


@pytest.mark.parametrize(
    ("path", "fields", "images", "said"),
    [
        ("generate/core", {}, [], "prompt: is required"),
        ("generate/core", {"prompt": ""}, [], "prompt: must have"),
        ("generate/core", {"prompt": "x", "steps": "4"}, [], "steps: is not allowed"),
        ("generate/core", {"prompt": "x"}, ["image"], "image: is not allowed"),
        ("generate/core", {"prompt": "x", "seed": "4294967295"}, [], "seed: must be between"),
        ("generate/core", {"prompt": "x", "seed": "x"}, [], "seed: must be a number"),
        ("generate/core", {"prompt": "x", "aspect_ratio": "7:1"}, [], "aspect_ratio: is not"),
        ("generate/sd3", {"prompt": "x"}, ["image"], "strength: is required"),
        ("generate/ultra", {"prompt": "x", "strength": "1"}, [], "strength: is required"),
        ("edit/erase", {}, ["mask"], "image: is required"),
        ("upscale/creative", {"prompt": "x", "creativity": "0.9"}, ["image"], "0.1 and 0.5"),
        ("generate/nothing", {"prompt": "x"}, [], "no Route"),
    ],
)
def test_the_emulator_takes_what_their_document_has_and_nothing_else(
    server, path, fields, images, said
):
    import httpx

    url = f"{server.url}/v2beta/stable-image/{path}"
    files = {name: ("a.png", png("a"), "image/png") for name in images} or {"none": b""}
    key = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(url, data=fields, files=files, headers=key)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["errors"][0]
    assert httpx.post(url, data=fields, files=files).status_code == 401
    assert server.charges == []


@pytest.mark.req("PRV-2")
def test_key_and_address_come_from_the_environment(ws, server, monkeypatch):
    monkeypatch.setenv("STABILITY_API_KEY", server.key)
    monkeypatch.setenv("STABILITY_BASE_URL", f"{server.base_url}/")
    ws.add_provider(Stability(pace=fast))
    assert only(ws.generate("a fox", model="stability:stable-image-core")).status == "completed"


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_a_key_it_says_what_is_missing():
    state = Stability().state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "STABILITY_API_KEY" in state.message


@pytest.mark.req("PRV-2", "PRV-8")
@pytest.mark.parametrize("role", ["source", "reference"])
def test_an_image_to_begin_with_goes_with_its_strength(ws, server, role):
    added(ws, server)
    given = {"source": png("me")} if role == "source" else {"references": [png("me")]}
    made = only(ws.generate("a fox", model="stab:sd3.5-large", strength=0.4, seed=1, **given))
    assert made.status == "completed"
    (seen,) = server.requests
    assert seen.path.endswith("/generate/sd3")
    assert fields_of(seen) == {
        "model": "sd3.5-large",
        "prompt": "a fox",
        "seed": "1",
        "mode": "image-to-image",
        "strength": "0.4",
        "cfg_scale": "4",
        "output_format": "png",
    }
    assert files_of(seen) == {"image": ("image/png", png("me"))}


@pytest.mark.req("PRV-2")
def test_from_words_alone_a_ratio_goes_and_no_strength(ws, server):
    added(ws, server)
    only(ws.generate("a fox", model="stab:sd3.5-large-turbo", aspect_ratio="21:9", seed=0))
    asked = fields_of(server.requests[0])
    assert (asked["mode"], asked["aspect_ratio"]) == ("text-to-image", "21:9")
    assert "strength" not in asked
    assert asked["seed"] == "4294967294"  # 0 would be any


@pytest.mark.req("PRV-2", "PRV-8")
@pytest.mark.parametrize(("model", "prompt"), [("inpaint", "a hat"), ("erase", None)])
def test_a_mask_is_sent_white_where_ours_is_transparent(ws, server, model, prompt):
    added(ws, server)
    mask = Image.new("RGBA", (8, 8), (10, 20, 30, 255))
    mask.putpixel((2, 3), (0, 0, 0, 0))
    held = io.BytesIO()
    mask.save(held, "PNG")
    made = only(ws.generate("a hat", model=f"stab:{model}", source=png("me"), mask=held.getvalue()))
    assert (made.status, made.operation, made.cost) == ("completed", "inpaint", Decimal("0.05"))
    (seen,) = server.requests
    assert seen.path == f"/v2beta/stable-image/edit/{model}"
    assert fields_of(seen).get("prompt") == prompt
    files = files_of(seen)
    assert files["image"] == ("image/png", png("me"))
    with Image.open(io.BytesIO(files["mask"][1])) as sent:
        assert (sent.mode, sent.getpixel((2, 3)), sent.getpixel((3, 2))) == ("L", 255, 0)


def test_every_model_is_asked_for_with_fields_that_it_has(ws, server):
    """The emulator refuses what their document does not have, and what it demands is missing."""
    added(ws, server)
    batches = []
    for name, entry in load("stability", "stab").entries.items():
        for operation in entry.model.operations:
            given = {} if operation is Operation.GENERATE else {"source": png("me")}
            if operation is Operation.INPAINT:
                given["mask"] = png("mask")
            if entry.model.negative_prompt:
                given["negative_prompt"] = "fog"
            if "style_preset" in entry.model.parameters:
                given["style_preset"] = "cinematic"
            batches.append(
                ws.generate("a fox", model=f"stab:{name}", operation=operation.value, **given)
            )
    assert len(batches) == 23
    wrong = [(one.model, only(one).error) for one in batches if only(one).error]
    assert wrong == []


@pytest.mark.req("PRV-2")
def test_a_picture_in_json_is_a_picture_too(ws, server):
    server.json_answers = True
    added(ws, server)
    made = only(ws.generate("a fox", model=CORE, seed=5))
    assert (made.status, made.seed) == ("completed", 5)


# -- a job with an id -----------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-4", "TOK-4")
def test_the_creative_upscaler_is_asked_until_its_picture_is_there(ws, server):
    added(ws, server)
    made = only(upscaled(ws))
    assert (made.status, made.operation, made.cost) == ("completed", "upscale", Decimal("0.60"))
    assert polls(server) == 3
    (begun,) = posts(server)
    assert begun.headers["accept"] == "application/json"
    assert files_of(begun) == {"image": ("image/png", png("small"))}
    assert server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_it_goes_on_in_another_process_by_its_reference_alone(workspace_home, server):
    server.waits = 1_000
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = upscaled(ws)
        until = time.monotonic() + 10
        while not polls(server) and time.monotonic() < until:
            time.sleep(0.01)
    server._left = dict.fromkeys(server._left, 0)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = only(again.batch(batch.id))
        assert (made.status, made.cost) == ("completed", Decimal("0.60"))
        assert again.doctor().problems == []
    assert len(posts(server)) == server.images_charged == 1


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429),
        Fault(reset_before=True),
        Fault(reset_after=0),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, server, fault):
    added(ws, server)
    left = [fault, fault]
    server.fault_of = lambda seen: left.pop(0) if left and seen.method == "GET" else None
    assert only(upscaled(ws)).status == "completed"
    assert len(posts(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5", "PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404),
        Fault(status=401),
        Fault(status=200, body=b"<html>", content_type="text/html"),
    ],
    ids=repr,
)
def test_a_job_that_cannot_be_asked_for_is_an_unknown_outcome(ws, server, fault):
    added(ws, server)
    server.fault_of = lambda seen: fault if seen.method == "GET" else None
    made = only(upscaled(ws))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(posts(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7")
def test_a_job_that_is_refused_at_its_end_is_a_block(ws, server):
    added(ws, server)
    server.fault_of = lambda seen: Fault(status=403) if seen.method == "GET" else None
    error = only(upscaled(ws)).error
    assert (error.kind, error.charged) == ("blocked", False)


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "body", [b'{"id": ""}', b'{"name": "x"}', b"[]", b"<html>"], ids=lambda body: body.decode()
)
def test_a_job_without_an_id_is_an_unknown_outcome(ws, server, body):
    added(ws, server)
    server.faults = [Fault(status=200, body=body)]
    made = only(upscaled(ws))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")


# -- refusals -------------------------------------------------------------------------------------

REFUSED = [
    (Fault(status=400), "bad_request", "This was asked for by a test."),
    (Fault(status=401), "auth", "its key"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=403), "blocked", "content policy"),
    (Fault(status=403, code="forbidden"), "auth", "does not allow"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=422), "bad_request", "does not accept"),
    (Fault(status=422, code="public_figure"), "blocked", "content policy"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
@pytest.mark.parametrize("model", [CORE, CREATIVE])
def test_a_refusal_is_typed_and_costs_nothing(ws, server, fault, kind, said, model):
    added(ws, server)
    server.faults = [fault]
    batch = upscaled(ws) if model == CREATIVE else ws.generate("a fox", model=model)
    error = only(batch).error
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert len(server.requests) == 1
    assert server.charges == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": formatdate(0, usegmt=True)}),
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
    ],
    ids=repr,
)
def test_a_call_that_is_put_off_is_made_once(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    assert only(ws.generate("a fox", model=CORE)).status == "completed"
    assert len(server.requests) == 2
    assert server.images_charged == 1


@pytest.mark.req("PRV-4")
async def test_too_many_requests_are_a_minute_of_silence(server):
    provider = made_with(server)
    provider.penalty_s = Stability.penalty_s
    for fault, pause in (
        (Fault(status=429), 60.0),
        (Fault(status=429, headers={"Retry-After": "7"}), 7.0),
    ):
        server.faults = [fault]
        with pytest.raises(ProviderError) as caught:
            await drained(provider, asked_for())
        assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMIT, pause)
    await provider.close()


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=40),
        Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html"),
        Fault(status=200, body=b'{"image": ', content_type="application/json"),
        Fault(status=200, body=b"[]", content_type="application/json"),
        Fault(status=502),
        Fault(pause_s=1.6),
        Fault(drip_s=0.02),
    ],
    ids=repr,
)
def test_a_call_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=Patience(total_s=1.2))
    server.faults = [fault]
    made = only(ws.generate("a fox", model=CORE))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(server.requests) == 1
    assert server.images_charged in (0, 1)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("json_answers", [False, True], ids=["bytes", "json"])
def test_a_picture_that_their_filter_blurred_is_a_block(ws, server, json_answers):
    server.reason, server.json_answers = "CONTENT_FILTERED", json_answers
    added(ws, server)
    made = only(ws.generate("a fox", model=CORE))
    assert (made.error.kind, made.error.charged) == ("blocked", False)
    assert made.asset is None
    assert server.images_charged == 0


@pytest.mark.req("PRV-7")
def test_no_picture_and_no_error_is_a_block(ws, server):
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = only(ws.generate("a fox", model=CORE)).error
    assert (error.kind, error.charged) == ("blocked", False)


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5)], ids=["text", "half"]
)
@pytest.mark.parametrize("json_answers", [False, True], ids=["bytes", "json"])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault, json_answers):
    server.json_answers = json_answers
    added(ws, server)
    server.faults = [fault]
    bad = only(ws.generate("a fox", model=CORE))
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_because_it_is_paid_for(ws, server):
    added(ws, server)
    server.faults = [Fault(pause_s=0.5)]
    batch = ws.generate("a fox", model=CORE)
    until = time.monotonic() + 10
    while not server.requests and time.monotonic() < until:
        time.sleep(0.01)
    batch.cancel()
    while len(batch.all_generations()) == 1 and time.monotonic() < until:
        time.sleep(0.02)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.cost) == ("cancelled", "completed", Decimal("0.03"))


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, server
):
    server.faults = [Fault(pause_s=3.0)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=CORE)
        until = time.monotonic() + 10
        while not server.requests and time.monotonic() < until:
            time.sleep(0.01)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = only(again.batch(batch.id))
        assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(server.requests) == server.images_charged == 1


# -- small things ---------------------------------------------------------------------------------


def asked_for(model: str = "stable-image-core", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": None,
        "height": None,
        "params": {},
        "slots": (Slot("g", 4, 7),),
    }
    return JobRequest(**{**given, **changes})


async def drained(provider: Stability, request: JobRequest, ref: JobRef | None = None) -> list:
    ref = await provider.submit(request) if ref is None else ref
    return [event async for event in provider.events(request, ref)]


async def test_what_is_wrong_here_is_said_before_anything_is_sent(server):
    provider = made_with(server)

    def image(content: bytes) -> JobInput:
        return JobInput("a", "source", 0, "image/png", lambda: content)

    with pytest.raises(ProviderError, match=r"no model dall-e any more\."):
        await provider.submit(asked_for("dall-e"))
    with pytest.raises(InvalidRequest, match="takes no images; 1 were given"):
        await provider.submit(asked_for(inputs=(image(b"x"),)))
    with pytest.raises(InvalidRequest, match="takes one image; 2 were given"):
        await provider.submit(asked_for("sd3.5-large", inputs=(image(b"x"),) * 2))
    with pytest.raises(InvalidRequest, match="needs an image"):
        await provider.submit(asked_for("upscale-fast"))
    large = asked_for("upscale-fast", inputs=(image(b"x" * 11_000_000),))
    with pytest.raises(InvalidRequest, match="more than 10 MB"):
        await drained(provider, large)
    unreadable = asked_for("inpaint", inputs=(image(png("a")), JobInput("m", "mask", 0, "", bytes)))
    with pytest.raises(ProviderError, match="mask cannot be read"):
        await drained(provider, unreadable)
    await provider.close()
    assert server.requests == []


async def test_a_job_of_a_model_that_is_gone_is_still_followed(server):
    provider = made_with(server)
    ref = await provider.submit(
        asked_for(
            "upscale-creative",
            operation=Operation.UPSCALE,
            inputs=(JobInput("a", "source", 0, "image/png", lambda: png("a")),),
        )
    )
    *_, ready, done = await drained(provider, asked_for("gone"), ref)
    await provider.close()
    assert (ready.data, ready.cost, done.usage) == (png("a fox"), None, {"id": ref.remote_id})


@pytest.mark.req("PRV-7")
async def test_the_account_can_be_asked_without_cost(server):
    provider = made_with(server)
    assert await provider.test() == "Stability AI answered; 12.35 credits are left."
    wrong = made_with(server, key="sk-wrong-0123456789")
    with pytest.raises(ProviderError) as caught:
        await wrong.test()
    assert caught.value.kind is ErrorKind.AUTH
    await provider.close()
    await wrong.close()


@pytest.mark.req("TOK-6")
def test_prices_are_dated_and_as_their_pages_say():
    catalogue = load("stability", "stab")
    assert catalogue.dated == "2026-11-21"
    charged = {name: entry.model.rate.per_image * 100 for name, entry in catalogue.entries.items()}
    # Of the document of each endpoint, and of stability.ai/api-pricing-update-25.
    told = {
        "stable-image-core": "3",
        "stable-image-ultra": "8",
        "sd3.5-large": "6.5",
        "sd3.5-large-turbo": "4",
        "sd3.5-medium": "3.5",
        "sd3.5-flash": "2.5",
        "erase": "5",
        "inpaint": "5",
        "remove-background": "5",
        "search-and-replace": "5",
        "sketch": "5",
        "structure": "5",
        "style": "5",
        "upscale-fast": "2",
        "upscale-conservative": "40",
        "upscale-creative": "60",
    }
    assert {name: charged[name] for name in told} == {
        name: Decimal(text) for name, text in told.items()
    }


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with StabilityEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("STABILITY_API_KEY", CANARY)
        monkeypatch.setenv("STABILITY_BASE_URL", server.base_url)
        provider = Stability(pace=fast)
        ws.add_provider(provider)
        for fault in (
            None,
            Fault(status=401, body=f'{{"name": "{CANARY}", "errors": ["{CANARY}"]}}'.encode()),
            Fault(status=400, body=f'{{"errors": ["key {CANARY}", 7]}}'.encode()),
            Fault(status=500, body=f'{{"message": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(content_type=f"text/{CANARY}"),
            Fault(image=CANARY.encode()),
        ):
            server.faults = [fault]
            batch = ws.generate("a fox", model="stability:stable-image-core").wait(30)
            shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.models()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
