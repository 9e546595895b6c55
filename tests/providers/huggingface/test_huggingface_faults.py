"""Hugging Face's router through the real engine, against an emulator that counts its charges."""

from __future__ import annotations

import base64
import json

import pytest

from tests.providers.checks import (
    REDIRECTED,
    TOO_LATE,
    assert_put_off,
    assert_refused,
    patience_with,
)
from tests.providers.huggingface.world import ROUTES, added, each_route, made, posts, request_for
from tests.providers.world import ended, error_of, failure_of
from workbench.errors import ErrorKind
from workbench.providers.huggingface import result_of
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

REFUSED = [
    (Fault(status=401, code="not_authorized"), "auth", "did not accept"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402, code="no_credit"), "quota", "exceeded your monthly included credits"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=400), "bad_request", "This was asked for by a test."),
    (Fault(status=400, code="nsfw_words"), "blocked", "content policy"),
    (Fault(status=422, body=b'{"detail": [{"loc": ["body", "seed"], "msg": "is wrong"}]}'),
     "bad_request", "seed: is wrong"),
    REDIRECTED,
]  # fmt: skip


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED, ids=repr)
def test_a_refusal_is_typed_and_costs_nothing(ws, hf, fault, kind, said):
    added(ws, hf)
    ws.grant(10)
    for model in ROUTES.values():
        ws.set_price(model, 1)
        hf.faults = [fault]
        error = error_of(ws.generate("a fox", model=model))
        assert_refused(hf, error, kind, said)
    assert len(hf.requests) == len(ROUTES)
    assert ws.balance == 10


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=30),
        Fault(status=504),
        Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
        TOO_LATE,
    ],
    ids=repr,
)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, hf, fault):
    added(ws, hf, patience=patience_with(fault))
    ws.grant(10)
    hf.fault_of = lambda seen: fault
    batches = []
    for model in ROUTES.values():
        ws.set_price(model, 1)
        batches.append(ws.generate("a fox", model=model))
    for batch in batches:
        (lost,) = ended(batch).generations
        assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == len(hf.requests) == len(ROUTES)
    assert hf.images_charged <= len(ROUTES)
    assert ws.balance == 10 - len(ROUTES)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=500),
        Fault(status=503, body=b'{"error": "loading", "estimated_time": "soon"}'),
        Fault(status=503, body=b"[]"),
        Fault(status=503, body=b"<html>"),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_and_charged_once(ws, hf, fault):
    added(ws, hf)
    for model in ROUTES.values():
        hf.faults = [fault]
        assert ended(ws.generate("a fox", model=model)).status == "completed"
    assert len(posts(hf)) == 2 * len(ROUTES)
    assert hf.images_charged == len(ROUTES)


@pytest.mark.req("PRV-4")
def test_a_model_that_is_being_loaded_is_waited_for_as_long_as_it_says(ws, hf):
    added(ws, hf)
    body = json.dumps({"error": "Model is currently loading", "estimated_time": 300.0}).encode()
    hf.faults = [Fault(status=503, body=body)]
    assert_put_off(ws.generate("a fox", model=ROUTES["hf-inference"]), hf, 300)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(status=503, body=b'{"estimated_time": 20.5}'), 20.5),
        (Fault(status=503, body=b'{"estimated_time": 1e9}'), 600.0),
        (Fault(status=503, body=b'{"estimated_time": -1}'), None),
        (Fault(status=503, body=b'{"estimated_time": 9}', headers={"Retry-After": "2"}), 2.0),
        (Fault(status=500, body=b'{"estimated_time": 9}'), None),
    ],
)
async def test_how_long_a_model_is_loaded_is_a_floor(hf, fault, seconds):
    hf.faults = [fault]
    error = await failure_of(made(hf), request_for(ROUTES["hf-inference"]))
    assert (error.kind, error.retry_after_s, error.maybe_sent) == (
        ErrorKind.TRANSIENT,
        seconds,
        False,
    )


@pytest.mark.req("PRV-7")
@each_route
def test_no_picture_and_no_error_is_a_block_or_unknown(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(image=b"") if route == "hf-inference" else Fault(images=0)]
    (none,) = ended(ws.generate("a fox", model=ROUTES[route])).generations
    if route == "hf-inference":  # bytes were to come, and none did
        assert none.detail == "outcome_unknown"
    else:
        assert (none.error.kind, none.error.charged) == ("blocked", False)


@pytest.mark.parametrize("route", ["fal-ai", "together", "replicate"])
def test_more_pictures_than_asked_for_are_one(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=ROUTES[route]))
    assert (done.status, len(done.all_generations())) == ("completed", 1)


@each_route
@pytest.mark.parametrize("fault", [Fault(image=b"\x89PNG?"), Fault(cut=0.5)], ids=repr)
def test_bytes_that_are_no_picture_fail(ws, hf, route, fault):
    added(ws, hf)
    hf.faults = [fault]
    assert error_of(ws.generate("a fox", model=ROUTES[route])).kind == "bad_image"


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, hf):
    added(ws, hf)
    for kind in ("text/html", "application/octet-stream"):
        hf.faults = [Fault(content_type=kind)]
        done = ended(ws.generate("a fox", model=ROUTES["hf-inference"]))
        assert done.status == "completed"


def test_own_machines_may_answer_in_json(ws, hf):
    added(ws, hf)
    text = base64.b64encode(png("b64")).decode()
    for value in ({"data": [{"b64_json": text}]}, {"output": [f"data:image/png;base64,{text}"]}):
        body = json.dumps(value).encode()
        hf.faults = [Fault(status=200, body=body, content_type="application/json")]
        (done,) = ended(ws.generate("a fox", model=ROUTES["hf-inference"])).generations
        assert done.asset.path.read_bytes() == png("b64")
    hf.faults = [Fault(status=200, body=b'{"images": ', content_type="application/json")]
    (lost,) = ended(ws.generate("a fox", model=ROUTES["hf-inference"])).generations
    assert lost.detail == "outcome_unknown"


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ({"data": [{"url": "u"}, {"b64_json": "QQ=="}, 3]}, ["u", "data:image/png;base64,QQ=="]),
        ({"output": "u"}, ["u"]),
        ({"output": None}, []),
        ({"output": ["u", None, 3]}, ["u"]),
        ({"images": [{"url": "u"}]}, ["u"]),
        ({}, []),
        ([], []),
        ("u", []),
    ],
)
def test_pictures_are_found_in_every_answer(value, urls):
    assert [picture.url for picture in result_of(value).pictures] == urls


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_a_picture_that_is_refused_after_it_was_asked_for_is_blocked(ws, hf, route):
    added(ws, hf)
    hf.faults = [Fault(code={"fal-ai": "nsfw", "replicate": "nsfw_words"}[route])]
    assert error_of(ws.generate("a fox", model=ROUTES[route])).kind == "blocked"


@pytest.mark.req("PRV-7")
def test_a_prediction_that_failed_ends_uncharged_and_is_not_asked_for_again(ws, hf):
    added(ws, hf)
    hf.faults = [Fault(code="CUDA out of memory")]
    error = error_of(ws.generate("a fox", model=ROUTES["replicate"]))
    assert (error.kind, error.charged) == ("unavailable", False)
    assert "CUDA out of memory" in error.message
    assert len(hf.requests) == 1


@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_an_address_that_fails_in_passing_is_fetched_again(ws, hf, route):
    added(ws, hf)
    left = [Fault(status=500), Fault(reset_before=True), Fault(reset_after=20)]
    hf.fault_of = lambda seen: left.pop() if seen.path.startswith("/files/") and left else None
    assert ended(ws.generate("a fox", model=ROUTES[route])).status == "completed"
    assert left == []
    assert hf.images_charged == len(posts(hf)) == 1


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("route", ["fal-ai", "replicate"])
def test_an_address_that_has_expired_leaves_it_to_a_person(ws, hf, route):
    added(ws, hf)
    hf.fault_of = lambda seen: Fault(status=410) if seen.path.startswith("/files/") else None
    (lost,) = ended(ws.generate("a fox", model=ROUTES[route])).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == 1
