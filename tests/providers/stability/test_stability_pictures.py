"""Stability AI's dialect through the real engine, against an emulator that counts charges.

The emulator checks each form against the facts of their OpenAPI document (fields, kinds, ranges),
which it has on its own. test_stability_second_client.py has a client that is not ours speak to it.
"""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from PIL import Image

import workbench as wb
from tests.providers.stability.world import CORE, added, fields_of, files_of, polls, posts, upscaled
from tests.providers.world import fast, only
from tests.waiting import until
from workbench.domain.status import Operation
from workbench.providers.catalogue import load
from workbench.providers.stability import Stability
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- pictures --------------------------------------------------------------------------------------


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
        ("edit/remove-background", {"output_format": "jpeg"}, ["image"], "output_format: is not"),
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
    """Also where its field is named otherwise, as that of a job with an id is."""
    server.json_answers = True
    added(ws, server)
    made = only(ws.generate("a fox", model=CORE, seed=5))
    assert (made.status, made.seed) == ("completed", 5)
    assert only(upscaled(ws)).asset.path.read_bytes() == png("a sharp fox")


# -- a job with an id ------------------------------------------------------------------------------


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
        until(lambda: polls(server))
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
