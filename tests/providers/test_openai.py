"""OpenAI's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import load
from workbench.providers.http import Patience
from workbench.providers.openai_images import OpenAIImages
from workbench.providers.openai_models import profile_of, token_rates
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

CANARY = "sk-canary-0123456789abcdefghij"
MODEL = "oai:gpt-image-2.5-flare"
# 10 tokens of text in at 5, 1,000 + 100 of pictures out at 30 USD per million.
COST = Decimal("0.03305")


def added(ws, server: OpenAIEmulator, **changes) -> OpenAIImages:
    given = {"base_url": server.base_url, "key": server.key, **changes}
    provider = OpenAIImages("oai", **given)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


# -- what users without a key see -----------------------------------------------------------------


@pytest.mark.req("PRV-2", "CFG-1")
def test_without_a_key_it_is_listed_and_says_what_is_missing(ws):
    (info,) = [info for info in ws.providers() if info.name == "openai"]
    assert (info.state.ready, info.state.code) == (False, "key_missing")
    assert "OPENAI_API_KEY" in info.state.message
    with pytest.raises(wb.InvalidRequest, match="OPENAI_API_KEY"):
        ws.generate("a fox", model="openai:gpt-image-2.5-flare")
    assert ended(ws.generate("a fox", width=64, height=64, steps=1)).status == "completed"


@pytest.mark.req("PRV-2", "PRV-7")
def test_key_and_address_come_from_the_environment_and_may_be_set_later(ws, openai, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {openai.key}\n")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{openai.base_url}/")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    done = ended(ws.generate("a fox", model="openai:gpt-image-2.5-flare"))
    assert done.status == "completed"
    (seen,) = openai.requests
    assert seen.headers["authorization"] == f"Bearer {openai.key}"
    assert seen.headers["openai-project"] == "proj_1"
    for name, wrong in (("OPENAI_BASE_URL", "nonsense"), ("OPENAI_API_KEY", "two words")):
        monkeypatch.setenv(name, wrong)
        (info,) = [info for info in ws.providers() if info.name == "openai"]
        assert (info.state.ready, info.state.code) == (False, "error")
        assert name in info.state.message
        assert wrong not in info.state.message
        monkeypatch.undo()


def test_the_key_of_the_environment_goes_to_no_other_address(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    other = OpenAIImages("other", base_url="http://127.0.0.1:9/v1", profile="localai", models=["x"])
    assert other._headers(other._address("/images/generations")) == {}
    assert other.state().ready


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-2", "TOK-4")
def test_pictures_come_home_with_what_they_cost(ws, openai):
    added(ws, openai)
    done = ended(ws.generate("a red fox", model=MODEL, n=3, width=1536, height=1024, quality="low"))
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox|0")] * 3
    assert [(g.cost, g.record.unit) for g in done.generations] == [(COST, "USD")] * 3
    assert all(g.record.charged for g in done.generations)
    assert openai.images_charged == 3
    assert ws.balances()["USD"] == -3 * COST
    assert all(one.method == "POST" for one in openai.requests)
    assert openai.requests[0].json() == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a red fox",
        "n": 1,
        "size": "1536x1024",
        "quality": "low",
        "output_format": "png",
        "stream": True,
        "partial_images": 1,
    }
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-2")
def test_a_price_in_tokens_is_reserved_and_settled_as_it_was_set(ws, openai):
    added(ws, openai)
    ws.grant(10)
    ws.set_price(MODEL, 2)
    done = ended(ws.generate("a fox", model=MODEL, n=2))
    assert [g.cost for g in done.generations] == [2, 2]
    assert ws.balances() == {"token": Decimal(6)}


@pytest.mark.req("PRV-4")
def test_partial_images_are_shown_on_the_way(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(gap_s=0.4)]
    batch = ws.generate("a fox", model=MODEL, partial_images=3)
    (generation,) = batch.generations
    shown = set()
    steps = set()
    until = time.monotonic() + 20
    while not generation.status.is_terminal and time.monotonic() < until:
        preview = ws._engine.media.read_preview(generation.id)
        if preview:
            shown.add(preview)
        steps.add(generation.record.step)
        time.sleep(0.02)
    assert generation.status == "completed"
    sketches = {png(f"sketch {place}", width=8, height=8) for place in range(3)}
    assert shown == sketches
    assert {1, 2, 3} <= steps
    assert generation.record.total_steps == 4


@pytest.mark.req("PRV-2")
def test_without_previews_nothing_is_streamed(ws, openai):
    added(ws, openai)
    ended(ws.generate("a fox", model=MODEL, partial_images=0, output_format="webp"))
    asked = openai.requests[0].json()
    assert "stream" not in asked
    assert asked["output_format"] == "webp"
    assert ws.balances()["USD"] == -Decimal("0.03005")


@pytest.mark.req("PRV-2", "PRV-8")
def test_references_go_in_as_an_edit(ws, openai):
    added(ws, openai)
    references = [png("one"), png("two")]
    done = ended(ws.generate("like these", model=MODEL, references=references))
    assert done.status == "completed"
    (seen,) = openai.requests
    assert seen.path == "/v1/images/edits"
    files = [part for part in seen.parts() if part.filename]
    assert [(part.name, part.content_type, part.content) for part in files] == [
        ("image[]", "image/png", content) for content in references
    ]
    # 600 tokens of pictures in at 8 USD per million, besides.
    assert done.generations[0].cost == COST + Decimal("0.0048")


async def test_a_mask_goes_in_beside_its_source(openai):
    provider = OpenAIImages("oai", base_url=openai.base_url, key=openai.key)

    def given(role: str, position: int) -> JobInput:
        return JobInput("a", role, position, "image/png", f"{role}{position}".encode)

    request = JobRequest(
        key="k",
        model="gpt-image-2",
        operation=Operation.INPAINT,
        prompt="a hat",
        negative_prompt=None,
        width=1024,
        height=1024,
        params={"partial_images": 0},
        slots=(Slot("g", 0, None),),
        inputs=(given("mask", 0), given("reference", 0), given("source", 0)),
    )
    events = [event async for event in provider.events(request, await provider.submit(request))]
    await provider.close()
    assert type(events[-1]).__name__ == "Done"
    files = [(part.name, part.content) for part in openai.requests[0].parts() if part.filename]
    assert files == [("image[]", b"source0"), ("image[]", b"reference0"), ("mask", b"mask0")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 3840, "height": 256}, "too narrow"),
        ({"width": 3840, "height": 3840}, "too large"),
    ],
)
def test_a_size_that_cannot_be_is_refused_before_it_is_sent(ws, openai, changes, said):
    added(ws, openai)
    error = error_of(ws.generate("a fox", model=MODEL, **changes))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert said in error.message
    assert openai.requests == []


# -- faults ---------------------------------------------------------------------------------------

FAILS = [
    (Fault(status=400), "bad_request", "does not accept"),
    (Fault(status=401, code="invalid_api_key"), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=404, code="model_not_found"), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=400, code="moderation_blocked"), "blocked", "content policy"),
    (Fault(status=429, code="insufficient_quota"), "quota", "no credit"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
    (Fault(status=400, body=b"<html>" + b"x" * 100_000), "bad_request", "does not accept"),
    (Fault(in_stream="moderation_blocked"), "blocked", "content policy"),
]
LOST = [
    Fault(reset_after=0),
    Fault(reset_after=40),
    Fault(silent=True),
    Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
    Fault(status=200, body=b"[]"),
    Fault(status=502),
    Fault(status=504),
    Fault(drip_s=0.02),
    Fault(pause_s=1.6),
]
NO_STREAM = {"partial_images": 0}


def only_for(prompt: str, fault: Fault):
    return lambda seen: fault if prompt.encode() in seen.body else None


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), FAILS)
def test_a_failure_is_typed_costs_nothing_and_leaves_others_alone(ws, openai, fault, kind, said):
    added(ws, openai)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    openai.fault_of = only_for("the bad one", fault)
    good = ws.generate("a good one", model=MODEL, n=2)
    bad = ws.generate("the bad one", model=MODEL)
    error = error_of(bad)
    assert ended(good).status == "completed"
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert openai.key not in error.message
    assert ws.balance == 8
    assert sum(b"the bad one" in seen.body for seen in openai.requests) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(ws, openai, fault):
    patience = Patience(total_s=1.2)
    added(ws, openai, patience=patience)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    openai.fault_of = only_for("the bad one", fault)
    good = ws.generate("a good one", model=MODEL, n=2)
    more = NO_STREAM if fault.drip_s else {}
    (bad,) = ended(ws.generate("the bad one", model=MODEL, **more)).generations
    assert ended(good).status == "completed"
    assert (bad.status, bad.detail) == ("processing", "outcome_unknown")
    assert sum(b"the bad one" in seen.body for seen in openai.requests) == 1
    # What was charged was delivered, or is shown as unknown and stays reserved.
    assert openai.images_charged - 2 in (0, 1)
    assert ws.balance == 7
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=429, headers={"retry-after-ms": "30"}),
        Fault(status=500),
        Fault(status=503),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_and_charged_once(ws, openai, fault):
    added(ws, openai)
    openai.faults = [fault]
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert made.status == "completed"
    assert len(openai.requests) == 2
    assert openai.images_charged == 1
    assert made.cost == COST


@pytest.mark.req("PRV-4")
def test_what_retry_after_asks_for_is_waited(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(status=429, headers={"Retry-After": "2"})]
    begun = time.monotonic()
    ended(ws.generate("a fox", model=MODEL))
    assert time.monotonic() - begun >= 2.0
    assert len(openai.requests) == 2


@pytest.mark.req("PRV-7")
def test_a_server_that_is_not_there_is_tried_again_and_then_named(ws, openai, monkeypatch):
    added(ws, openai, base_url="http://127.0.0.1:9/v1")
    (waiting,) = ws.generate("a fox", model=MODEL).generations
    until = time.monotonic() + 10
    while "retrying" not in waiting.detail and time.monotonic() < until:
        time.sleep(0.02)
    assert "cannot be reached" in waiting.detail
    waiting.cancel()


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
@pytest.mark.parametrize("more", [{}, NO_STREAM], ids=["stream", "at once"])
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, openai, fault, more):
    added(ws, openai)
    ws.grant(10)
    ws.set_price(MODEL, 1)
    openai.faults = [fault]
    (bad,) = ended(ws.generate("a fox", model=MODEL, **more)).generations
    if bad.error is None:  # nothing at all came: nobody knows what became of it
        assert (fault.image, bad.detail) == (b"", "outcome_unknown")
        return
    assert bad.status == "failed"
    if fault.image == b"":
        assert bad.error.kind == "blocked"
        return
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)
    assert ws.balance == 9
    assert ended(ws.generate("another", model=MODEL)).status == "completed"


@pytest.mark.req("PRV-7")
def test_no_picture_and_no_error_is_a_block(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model=MODEL, **NO_STREAM))
    assert (error.kind, error.charged) == ("blocked", False)
    assert openai.images_charged == 0
    assert ws.balances().get("USD", 0) == 0


@pytest.mark.req("PRV-7", "TOK-2")
def test_a_picture_that_was_made_and_withheld_costs_what_its_tokens_do(ws, openai):
    added(ws, openai)
    usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
    openai.faults = [Fault(status=200, body=json.dumps({"data": [], "usage": usage}).encode())]
    (withheld,) = ended(ws.generate("a fox", model=MODEL, **NO_STREAM)).generations
    assert (withheld.error.kind, withheld.error.charged) == ("blocked", True)
    assert withheld.cost == Decimal("0.03005")


def test_a_right_answer_of_a_wrong_type_is_a_right_answer(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(content_type="text/html")]
    assert ended(ws.generate("a fox", model=MODEL, **NO_STREAM)).status == "completed"


@pytest.mark.parametrize("more", [{}, NO_STREAM])
def test_more_pictures_than_asked_for_are_one(ws, openai, more):
    added(ws, openai)
    openai.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=MODEL, **more))
    assert (done.status, len(done.all_generations())) == ("completed", 1)


def test_a_preview_that_is_no_picture_hurts_nobody(ws, openai, monkeypatch):
    from workbench.testing.emulators import openai as emulator

    real = emulator.png
    monkeypatch.setattr(emulator, "png", lambda text, **size: b"nonsense" if size else real(text))
    added(ws, openai)
    openai.faults = [Fault(gap_s=0.2)]
    assert ended(ws.generate("a fox", model=MODEL, partial_images=3)).status == "completed"


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_is_paid_for(ws, openai):
    added(ws, openai)
    openai.faults = [Fault(pause_s=0.8)]
    batch = ws.generate("a fox", model=MODEL)
    until = time.monotonic() + 10
    while not openai.requests and time.monotonic() < until:
        time.sleep(0.01)
    batch.cancel()
    while len(batch.all_generations()) == 1 and time.monotonic() < until:
        time.sleep(0.02)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.retry_of) == ("cancelled", "completed", first.id)
    assert late.cost == COST
    assert ws.balances()["USD"] == -COST


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(
    workspace_home, openai
):
    openai.faults = [Fault(pause_s=3.0)]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, openai)
        batch = ws.generate("a fox", model=MODEL)
        until = time.monotonic() + 10
        while not openai.requests and time.monotonic() < until:
            time.sleep(0.01)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, openai)
        (generation,) = again.batch(batch.id).wait(30).generations
        assert (generation.status, generation.detail) == ("processing", "outcome_unknown")
        assert again.doctor().problems == []
    assert len(openai.requests) == openai.images_charged == 1


# -- servers that speak the same dialect ----------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_a_server_that_ignores_stream_is_understood(ws, workbench_emulator):
    server = workbench_emulator(streams=False)
    added(ws, server)
    (made,) = ended(ws.generate("a fox", model=MODEL, partial_images=2)).generations
    assert server.requests[0].json()["stream"] is True
    assert (made.status, made.cost) == ("completed", Decimal("0.03005"))


@pytest.mark.req("PRV-2")
def test_a_compatible_server_gets_what_its_profile_says(ws, workbench_emulator):
    server = workbench_emulator(
        key=None, streams=False, string_errors=True, speaks="stable-diffusion.cpp"
    )
    added(ws, server, key=None, profile="stable-diffusion.cpp", models=("tiny",))
    made = ended(
        ws.generate("a fox", model="oai:tiny", seed=7, steps=4, width=512, negative_prompt="fog")
    )
    (generation,) = made.generations
    assert (generation.status, generation.seed, generation.cost) == ("completed", 7, 0)
    (seen,) = server.requests
    assert "authorization" not in seen.headers
    asked = seen.json()
    prompt, _, rest = asked.pop("prompt").partition(" <sd_cpp_extra_args>")
    assert prompt == "a fox"
    assert json.loads(rest.removesuffix("</sd_cpp_extra_args>")) == {
        "seed": 7,
        "sample_params": {"sample_steps": 4},
        "negative_prompt": "fog",
    }
    assert asked == {"model": "tiny", "n": 1, "size": "512x512"}
    server.faults = [Fault(status=400)]
    error = error_of(ws.generate("a fox", model="oai:tiny"))
    assert "This was asked for by a test." in error.message
    # It is free, so that a lost answer is asked for again.
    server.faults = [Fault(reset_after=0)]
    assert ended(ws.generate("a fox", model="oai:tiny")).status == "completed"


@pytest.mark.req("PRV-2")
def test_a_picture_that_is_left_at_an_address_is_fetched(ws, workbench_emulator):
    server = workbench_emulator(urls=True, speaks="together")
    added(ws, server, profile="together", models=("flux",))
    (made,) = ended(ws.generate("a fox", model="oai:flux", width=256, height=128)).generations
    assert made.status == "completed"
    asked = server.requests[0].json()
    assert (asked["width"], asked["height"], asked["response_format"]) == (256, 128, "base64")
    assert asked["seed"] == made.seed
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize("name", ["openai", "stable-diffusion.cpp", "localai", "vllm-omni"])
def test_every_profile_can_be_read(name):
    assert profile_of(name).name == name


def test_an_unknown_profile_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="localai"):
        OpenAIImages("x", profile="nobody")


@pytest.fixture
def workbench_emulator():
    opened = []

    def make(**how) -> OpenAIEmulator:
        opened.append(OpenAIEmulator(**how))
        return opened[-1].__enter__()

    yield make
    for server in opened:
        server.close()


# -- data -----------------------------------------------------------------------------------------


@pytest.mark.req("TOK-6")
def test_models_and_prices_are_dated_data_that_the_price_table_agrees_with():
    catalogue = load("openai_images", "openai")
    assert catalogue.dated == "2026-11-21"
    assert "gpt-image-1" not in catalogue.entries  # it is gone
    for name, entry in catalogue.entries.items():
        assert entry.model.id == f"openai:{name}"
        rates = token_rates(entry)
        assert rates is not None
        assert 0 < rates.text_in <= rates.image_in <= rates.image_out
        entry.model.check({})
    assert "2026-12-01" in catalogue.entries["gpt-image-1.5"].model.help


@pytest.mark.req("TOK-4")
@pytest.mark.parametrize(
    ("quality", "previews", "usd"),
    [("low", 0, "0.00588"), ("max", 0, "0.21072"), ("auto", 0, "0.21072"), ("low", 2, "0.01188")],
)
def test_an_estimate_is_tokens_times_their_price(quality, previews, usd):
    model = load("openai_images", "openai").entries["gpt-image-2.5-flare"].model
    params = model.check({"quality": quality, "partial_images": previews})
    price = model.price_of(params, width=1024, height=1024)
    assert (price.unit, price.by_provider) == ("USD", True)
    assert price.amount_micro == int(Decimal(usd) * 1_000_000)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"input_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": "1", "output_tokens": 1},
        {"input_tokens": 10**30, "output_tokens": 1},
    ],
)
def test_usage_that_says_nothing_is_no_cost(usage):
    rates = token_rates(load("openai_images", "openai").entries["gpt-image-2"])
    assert rates.cost(usage) is None


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, workbench_emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    server = workbench_emulator(key=CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    faults = [
        None,
        Fault(status=401, code="invalid_api_key"),  # its message repeats the key
        Fault(status=500, body=f'{{"error": "key {CANARY}"}}'.encode()),
        Fault(in_stream=f"token {CANARY}"),
        Fault(reset_after=0),
        Fault(content_type=f"text/{CANARY}"),
        Fault(image=CANARY.encode()),
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        for fault in faults:
            server.faults = [fault]
            batch = ws.generate("a fox", model="openai:gpt-image-2", partial_images=1).wait(30)
            shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        provider = ws._engine.registry.providers["openai"]
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.models()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    assert os.environ["OPENAI_API_KEY"] == CANARY


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def official(openai):
    from openai import OpenAI

    with OpenAI(api_key=openai.key, base_url=openai.base_url, max_retries=0) as client:
        yield client


@pytest.mark.req("PRV-2")
def test_the_official_client_understands_the_emulator(openai, official):
    at_once = official.images.generate(model="gpt-image-2", prompt="a fox", n=2)
    assert [base64.b64decode(one.b64_json) for one in at_once.data] == [
        png("a fox|0"),
        png("a fox|1"),
    ]
    assert at_once.usage.output_tokens == 2000
    names = [
        event.type
        for event in official.images.generate(
            model="gpt-image-2", prompt="a fox", stream=True, partial_images=2
        )
    ]
    assert names == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    edited = official.images.edit(
        model="gpt-image-2",
        prompt="a hat",
        image=[("a.png", io.BytesIO(png("a")), "image/png")],
        mask=("m.png", io.BytesIO(png("m")), "image/png"),
    )
    assert base64.b64decode(edited.data[0].b64_json) == png("a hat|0")
    assert openai.images_charged == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401, code="invalid_api_key"), "AuthenticationError"),
        (Fault(status=429), "RateLimitError"),
        (Fault(status=400, code="moderation_blocked"), "BadRequestError"),
        (Fault(status=500), "InternalServerError"),
        (Fault(reset_after=0), "APIConnectionError"),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(openai, official, fault, error):
    import openai as sdk

    openai.faults = [fault]
    with pytest.raises(getattr(sdk, error)) as caught:
        official.images.generate(model="gpt-image-2", prompt="a fox")
    if fault.code and fault.status == 400:
        assert caught.value.code == fault.code


@pytest.mark.req("PRV-2")
def test_our_requests_are_those_of_the_official_client(ws, openai, official):
    """Same fields from both, and what we send is what the SDK's own types allow."""
    from openai.types.image_generate_params import ImageGenerateParamsStreaming
    from openai.types.images_response import ImagesResponse
    from pydantic import TypeAdapter

    added(ws, openai)
    given = {
        "quality": "high",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "partial_images": 2,
    }
    ended(ws.generate("a fox", model=MODEL, width=1536, height=1024, **given))
    list(
        official.images.generate(
            model="gpt-image-2.5-flare", prompt="a fox", n=1, size="1536x1024", stream=True, **given
        )
    )
    ours, theirs = (seen.json() for seen in openai.requests)
    assert ours == theirs
    TypeAdapter(ImageGenerateParamsStreaming).validate_python(ours)
    plain = dict(ours, stream=False)
    seen = replace(openai.requests[0], body=json.dumps(plain).encode())
    openai.take(seen)
    ImagesResponse.model_validate(json.loads(b"".join(openai.reply(seen, Fault()).pieces)))


# -- many at once ---------------------------------------------------------------------------------


def test_calls_run_beside_one_another_up_to_the_limit(ws, openai):
    added(ws, openai, concurrency=3)
    busy, most, lock = 0, 0, threading.Lock()

    real = openai.answer

    def answer(seen, fault):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.2)
        with lock:
            busy -= 1
        return real(seen, fault)

    openai.answer = answer
    assert ended(ws.generate("a fox", model=MODEL, n=6)).status == "completed"
    assert most == 3


async def test_a_model_that_is_gone_is_a_sentence():
    provider = OpenAIImages("oai", key="sk-0123456789")
    request = JobRequest("k", "dall-e-2", Operation.GENERATE, "x", None, None, None, {}, ())
    with pytest.raises(ProviderError, match=r"no model dall-e-2 any more\.") as caught:
        await provider.submit(request)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
