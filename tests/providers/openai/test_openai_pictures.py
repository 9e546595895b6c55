"""OpenAI's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest

import workbench as wb
from tests.providers.openai.world import CANARY, COST, MODEL, added
from tests.providers.world import ended, error_of, shown_one_by_one
from workbench.domain.jobs import JobInput, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.openai_images import OpenAIImages
from workbench.testing.emulators.server import Fault, Turns
from workbench.testing.pictures import png

# -- what users without a key see ------------------------------------------------------------------


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


# -- pictures --------------------------------------------------------------------------------------


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
    turns = Turns()
    openai.faults = [Fault(turns=turns)]
    batch = ws.generate("a fox", model=MODEL, partial_images=3)
    (generation,) = batch.generations
    sketches = [png(f"sketch {place}", width=8, height=8) for place in range(3)]
    looks = [((place, 4), sketch) for place, sketch in enumerate(sketches, 1)]
    shown_one_by_one(ws, generation, looks, turns.give)
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


# -- many at once ----------------------------------------------------------------------------------


def test_calls_run_beside_one_another_up_to_the_limit(ws, openai):
    added(ws, openai, concurrency=3)
    busy, most, lock = 0, 0, threading.Lock()
    # As many as may are there together before one is answered, however late each comes.
    together = threading.Barrier(3)

    real = openai.answer

    def answer(seen, fault):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        together.wait(45)
        time.sleep(0.2)  # for one too many
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
