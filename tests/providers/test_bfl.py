"""Black Forest Labs' dialect through the real engine, against an emulator that counts charges.

There is no client of theirs to compare with: the emulator checks each request against the facts of
their OpenAPI document (fields, kinds, ranges), which it has on its own.
"""

from __future__ import annotations

import base64
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
from workbench.domain.jobs import Done, ImageReady, JobInput, JobRef, JobRequest, Log, Queued, Slot
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers.bfl import BFL, painted_white
from workbench.providers.catalogue import load
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.runner.settings import RunnerSettings
from workbench.testing.emulators.bfl import BFLEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png
from workbench.workspace import engine

CANARY = "bfl-canary-0123456789abcdefghij"
MODEL = "flux:flux-2-pro"
COST = Decimal("0.03")


def fast() -> Pace:
    return Pace(first_s=0.01, longest_s=0.05)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    def settings(**changes):
        return RunnerSettings(backoff_base_s=0.02, backoff_cap_s=0.1, **changes)

    monkeypatch.setattr(engine, "RunnerSettings", settings)


@pytest.fixture
def server():
    with BFLEmulator() as one:
        yield one


def made_with(server: BFLEmulator, **changes) -> BFL:
    given = {"base_url": server.base_url, "key": server.key, "pace": fast, **changes}
    provider = BFL("flux", **given)
    provider.absent_s = 0.2
    return provider


def added(ws, server: BFLEmulator, **changes) -> BFL:
    provider = made_with(server, **changes)
    ws.add_provider(provider)
    return provider


def only(batch: wb.Batch):
    (generation,) = batch.wait(30).generations
    return generation


def noted(ws, words: str) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:  # a remark may come after the end of its job
        if any(words in repr(entry) for entry in ws.debug.entries()):
            return True
        time.sleep(0.01)
    return False


def paths(server: BFLEmulator, method: str = "POST") -> list[str]:
    return [seen.path for seen in server.requests if seen.method == method]


def polls(server: BFLEmulator) -> int:
    return sum("get_result" in path for path in paths(server, "GET"))


def creates_only(fault: Fault):
    return lambda seen: fault if seen.method == "POST" else None


def polls_only(*faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if "get_result" in seen.path and left else None


def files_only(*faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if "/files/" in seen.path and left else None


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-4", "TOK-4")
def test_pictures_come_home_with_what_they_cost(ws, server):
    added(ws, server)
    done = ws.generate("a red fox", model=MODEL, n=3, width=1536, height=1024, seed=7).wait(30)
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox")] * 3
    assert [(g.cost, g.record.unit) for g in done.generations] == [(COST, "USD")] * 3
    assert [g.seed for g in done.generations] == [7, 8, 9]
    assert server.images_charged == 3
    assert ws.balances()["USD"] == -3 * COST
    asked = [seen for seen in server.requests if seen.method == "POST"]
    assert {seen.path for seen in asked} == {"/v1/flux-2-pro"}
    assert {seen.headers["x-key"] for seen in asked} == {server.key}
    assert sorted((seen.json() for seen in asked), key=lambda one: one["seed"]) == [
        {
            "prompt": "a red fox",
            "seed": seed,
            "width": 1536,
            "height": 1024,
            "output_format": "png",
            "safety_tolerance": 2,
        }
        for seed in (7, 8, 9)
    ]
    files = [seen for seen in server.requests if "/files/" in seen.path]
    assert len(files) == 3
    assert not any("x-key" in seen.headers for seen in files)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_key_and_address_come_from_the_environment(ws, server, monkeypatch):
    monkeypatch.setenv("BFL_API_KEY", server.key)
    monkeypatch.setenv("BFL_BASE_URL", f"{server.base_url}/")
    ws.add_provider(BFL(pace=fast))
    assert only(ws.generate("a fox", model="bfl:flux-2-klein-4b")).status == "completed"


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_a_key_it_says_what_is_missing():
    state = BFL().state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "BFL_API_KEY" in state.message


@pytest.mark.req("TOK-2")
def test_an_estimate_counts_where_no_cost_is_named(ws, server):
    server.costs = None
    added(ws, server)
    done = only(ws.generate("a fox", model=MODEL, width=2048, height=2048))
    assert done.status == "completed"
    assert done.cost == Decimal("0.077915")  # 1.5 cents, and as much for each megapixel


@pytest.mark.req("PRV-2", "PRV-8")
def test_references_go_in_by_number_the_source_first(ws, server):
    added(ws, server)
    references = [png("one"), png("two")]
    made = only(ws.generate("like these", model=MODEL, references=references, source=png("me")))
    assert (made.status, made.operation) == ("completed", "edit")
    asked = server.requests[0].json()
    images = [asked["input_image"], asked["input_image_2"], asked["input_image_3"]]
    assert [base64.b64decode(one) for one in images] == [png("me"), *references]


@pytest.mark.req("PRV-2", "PRV-8")
def test_a_mask_is_sent_white_where_ours_is_transparent(ws, server):
    added(ws, server)
    mask = Image.new("RGBA", (8, 8), (10, 20, 30, 255))
    mask.putpixel((2, 3), (0, 0, 0, 0))
    held = io.BytesIO()
    mask.save(held, "PNG")
    made = only(
        ws.generate("a hat", model="flux:flux-pro-1.0-fill", source=png("me"), mask=held.getvalue())
    )
    assert (made.status, made.operation) == ("completed", "inpaint")
    asked = server.requests[0].json()
    assert base64.b64decode(asked["image"]) == png("me")
    with Image.open(io.BytesIO(base64.b64decode(asked["mask"]))) as sent:
        assert (sent.mode, sent.size) == ("L", (8, 8))
        assert (sent.getpixel((2, 3)), sent.getpixel((3, 2))) == (255, 0)


def test_a_mask_without_transparency_is_black_and_white_already():
    held = io.BytesIO()
    Image.new("L", (2, 1), 255).save(held, "PNG")
    with Image.open(io.BytesIO(painted_white(held.getvalue()))) as sent:
        assert sent.getpixel((0, 0)) == 255
    with pytest.raises(ProviderError, match="mask cannot be read"):
        painted_white(b"no picture")


def test_every_model_is_asked_for_with_fields_that_it_has(ws, server):
    """The emulator refuses what their document does not have."""
    added(ws, server)
    batches = []
    for name, entry in load("bfl", "flux").entries.items():
        given = {}
        if Operation.INPAINT in entry.model.operations:
            given = {"source": png("me"), "mask": png("mask")}
        elif entry.send.get("needs_image"):
            given = {"source": png("me")}
        elif entry.model.max_references:
            given = {"references": [png(str(n)) for n in range(entry.model.max_references)]}
        batches.append(ws.generate("a fox", model=f"flux:{name}", **given))
    assert [(one.model, only(one).status) for one in batches if only(one).error] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("flux-2-pro", {"prompt": "x", "width": 1000, "height": 1024}, 422),
        ("flux-2-pro", {"prompt": "x", "width": 4096, "height": 4096}, 422),
        ("flux-2-pro", {"prompt": "x", "seed": "7"}, 422),
        ("flux-2-pro", {"prompt": "x", "steps": 4}, 422),
        ("flux-2-pro", {"prompt": "x", "input_image": "no base64!"}, 422),
        ("flux-2-klein-4b", {"prompt": "x", "input_image_5": "eHh4"}, 422),
        ("flux-2-flex", {"prompt": "x", "guidance": 11}, 422),
        ("flux-kontext-pro", {"prompt": "x", "aspect_ratio": "9:1"}, 422),
        ("flux-pro-1.0-fill", {"prompt": "x"}, 422),
        ("flux-2-pro", {}, 422),
        ("flux-2-pro", [], 422),
        ("flux-9", {"prompt": "x"}, 404),
        ("flux-2-pro", {"prompt": "x", "width": 1920, "height": 1088, "seed": 1}, 200),
    ],
)
def test_the_emulator_takes_what_their_document_has_and_nothing_else(server, path, body, status):
    import httpx

    answer = httpx.post(f"{server.base_url}/{path}", json=body, headers={"x-key": server.key})
    assert answer.status_code == status
    assert httpx.post(f"{server.base_url}/{path}", json=body).status_code == 401
    assert len(server.charges) == (status == 200)


# -- on the way -----------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
def test_progress_and_previews_reach_the_generation(ws, server):
    sketch = png("sketch", width=8, height=8)
    half = {
        "status": "Pending",
        "progress": 0.5,
        "preview": {"image": base64.b64encode(sketch).decode()},
    }
    server.states = ("Task not found", "Pending", *([half] * 60))
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL)
    (generation,) = batch.generations
    seen, previews = set(), set()
    until = time.monotonic() + 20
    while not generation.status.is_terminal and time.monotonic() < until:
        seen.add((generation.record.step, generation.record.total_steps))
        previews.add(ws._engine.media.read_preview(generation.id))
        time.sleep(0.02)
    assert generation.status == "completed"
    assert (50, 100) in seen
    assert sketch in previews


async def follow(provider: BFL, request: JobRequest, ref: JobRef) -> list:
    return [event async for event in provider.events(request, ref)]


def asked_for(model: str = "flux-2-pro", **changes) -> JobRequest:
    given = {
        "key": "k",
        "model": model,
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": 1024,
        "height": 1024,
        "params": {},
        "slots": (Slot("g", 4, 7),),
    }
    return JobRequest(**{**given, **changes})


async def test_unknown_and_repeated_states_are_waited_out(server):
    odd = {"status": "Pending", "progress": "soon", "preview": {"image": "no base64!"}}
    server.states = ("Pending", "Task not found", "Warming up", "Warming up", odd, "")
    provider = made_with(server)
    request = asked_for()
    ref = await provider.submit(request)
    events = await follow(provider, request, ref)
    await provider.close()
    assert any(isinstance(event, Queued) for event in events)
    *_, ready, done = events
    assert isinstance(ready, ImageReady)
    assert (ready.index, ready.seed, ready.cost, ready.unit) == (4, 7, COST, "USD")
    assert done == Done(COST, "USD", {"id": "job-0", "input_mp": "0.0", "output_mp": "1.05"})


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=20),
        Fault(status=200, body=b"<html>", content_type="text/html"),
        Fault(status=200, body=b"[]"),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, server, fault):
    added(ws, server)
    server.fault_of = polls_only(fault, fault)
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == server.images_charged == 1


def test_a_slow_answer_is_waited_for(ws, server):
    added(ws, server)
    server.fault_of = polls_only(Fault(drip_s=0.001))
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"


# -- crashes, cancels -----------------------------------------------------------------------------


@pytest.mark.req("PRV-5", "TOK-5")
def test_a_job_goes_on_in_another_process_by_its_reference_alone(workspace_home, server):
    server.states = ("Pending",) * 500
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL)
        until = time.monotonic() + 10
        while not polls(server) and time.monotonic() < until:
            time.sleep(0.01)
    for job in server._jobs.values():
        job.states.clear()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = only(again.batch(batch.id))
        assert (made.status, made.cost) == ("completed", COST)
        assert again.doctor().problems == []
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_job_is_followed_because_it_is_paid_for(ws, server):
    server.states = ("Pending",) * 20
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL)
    until = time.monotonic() + 10
    while not polls(server) and time.monotonic() < until:
        time.sleep(0.01)
    batch.cancel()
    while len(batch.all_generations()) == 1 and time.monotonic() < until:
        time.sleep(0.02)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.cost) == ("cancelled", "completed", COST)


# -- refusals -------------------------------------------------------------------------------------

REFUSED = [
    (Fault(status=401), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=402), "quota", "no credit"),
    (Fault(status=404), "bad_request", "does not know this model"),
    (Fault(status=413), "bad_request", "too large"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirects"),
    (
        Fault(
            status=422,
            body=b'{"detail": [{"loc": ["body", "width"], "msg": "is odd.", "type": "x"}]}',
        ),
        "bad_request",
        "width: is odd.",
    ),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), REFUSED)
def test_a_refused_submission_is_typed_and_costs_nothing(ws, server, fault, kind, said):
    added(ws, server)
    server.fault_of = creates_only(fault)
    error = only(ws.generate("a fox", model=MODEL)).error
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
        Fault(status=429, headers={"Retry-After": "soon"}),
        Fault(status=429, body=b'{"error": "rate_limit_exceeded", "retry_after": 0.1}'),
        Fault(status=429, body=b"no JSON"),
        Fault(status=500),
        Fault(status=503),
    ],
    ids=repr,
)
def test_a_submission_that_is_put_off_is_made_once(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == 2
    assert server.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (Fault(status=429, headers={"Retry-After": "7"}), 7),
        (Fault(status=429, body=b'{"message": "busy", "retry_after": 5}'), 5),
        (Fault(status=429, body=b'{"retry_after": 1e9}'), 600),
        (Fault(status=429, body=b'{"retry_after": "x"}'), None),
    ],
)
async def test_how_long_to_pause_is_in_header_or_body(server, fault, pause):
    provider = made_with(server)
    server.faults = [fault]
    with pytest.raises(ProviderError) as caught:
        await provider.submit(asked_for())
    await provider.close()
    assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMIT, pause)
    assert not caught.value.maybe_sent


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=0),
        Fault(reset_after=20),
        Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html"),
        Fault(status=200, body=b'{"polling_url": "x"}'),
        Fault(status=200, body=b'"fine"'),
        Fault(status=502),
        Fault(pause_s=1.6),
        Fault(drip_s=0.05),
    ],
    ids=repr,
)
def test_a_submission_without_an_answer_is_an_unknown_outcome(ws, server, fault):
    added(ws, server, patience=Patience(total_s=1.2))
    server.fault_of = creates_only(fault)
    made = only(ws.generate("a fox", model=MODEL))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(paths(server)) == 1
    assert server.images_charged in (0, 1)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
def test_a_submission_that_never_went_out_is_made_again(ws, server):
    added(ws, server, base_url="http://127.0.0.1:9/v1")
    (waiting,) = ws.generate("a fox", model=MODEL).generations
    until = time.monotonic() + 10
    while "retrying" not in waiting.detail and not waiting.error and time.monotonic() < until:
        time.sleep(0.01)
    waiting.cancel()
    assert waiting.status in ("cancelled", "failed")


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("ends", ["Request Moderated", "Content Moderated"])
def test_moderation_is_a_block_and_says_why_in_the_log(ws, server, ends):
    server.ends = ends
    added(ws, server)
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("blocked", False)
    assert "content policy" in error.message
    assert noted(ws, "Derivative Works Filter")
    assert server.charges == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("ends", ["Error", "Failed"])
def test_a_job_that_failed_there_fails_at_once(ws, server, ends):
    server.ends = ends
    added(ws, server)
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "The worker fell over." in error.message
    assert polls(server) == 2


@pytest.mark.req("PRV-7")
def test_ready_without_a_picture_is_a_block(ws, server):
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = only(ws.generate("a fox", model=MODEL)).error
    assert (error.kind, error.charged) == ("blocked", False)


def test_more_pictures_than_one_are_one(ws, server):
    added(ws, server)
    server.faults = [Fault(images=3)]
    done = ws.generate("a fox", model=MODEL).wait(30)
    assert (done.status, len(done.all_generations())) == ("completed", 1)


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
def test_bytes_that_are_no_picture_fail_with_what_they_cost(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    bad = only(ws.generate("a fox", model=MODEL))
    assert (bad.error.kind, bad.error.charged) == ("bad_image", True)


@pytest.mark.req("PRV-5", "PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault", [Fault(reset_after=30), Fault(status=503), Fault(status=403)], ids=repr
)
def test_a_picture_that_could_not_be_fetched_is_fetched_again(ws, server, fault):
    added(ws, server)
    server.fault_of = files_only(fault)
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-7", "TOK-5")
def test_an_address_that_has_expired_leaves_an_unknown_outcome(ws, server):
    server.expired = 1_000
    added(ws, server)
    made = only(ws.generate("a fox", model=MODEL))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert noted(ws, "not where")
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_a_job_that_nobody_knows_any_more_is_an_unknown_outcome(ws, server):
    server.states = ("Task not found",) * 1_000
    provider = added(ws, server)
    provider.absent_s = 0.05
    made = only(ws.generate("a fox", model=MODEL))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(paths(server)) == 1


async def test_a_job_that_is_not_found_by_status_404_is_waited_for(server):
    provider = made_with(server)
    request = asked_for()
    ref = await provider.submit(request)
    gone = Fault(status=404, body=b'{"detail": "Task not found"}')
    server.fault_of = polls_only(gone, gone)
    events = await follow(provider, request, ref)
    await provider.close()
    assert isinstance(events[-1], Done)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/v1",
        "http://api.bfl.ai/v1",
        "https://api.bfl.ai.evil.example/v1",
        "https://evilbfl.ai/v1",
        "http://127.0.0.1:9/v1",
    ],
)
def test_a_polling_address_that_is_not_theirs_does_not_get_the_key(ws, server, address):
    server.polling = address
    added(ws, server)
    made = only(ws.generate("a fox", model=MODEL))
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert len(server.requests) == 1


def test_a_polling_address_of_a_region_gets_the_key():
    provider = BFL("flux", key=CANARY)
    for host in ("api.eu2.bfl.ai", "bfl.ai", "api.us.bfl.ai:443"):
        url = f"https://{host}/v1/get_result?id=1"
        assert provider._own(url) == url
        assert provider._headers(url) == {"x-key": CANARY}


def test_without_a_polling_address_the_usual_one_is_asked(ws, server):
    server.polling = ""
    added(ws, server)
    server.fault_of = lambda seen: (
        Fault(status=200, body=b'{"id": "job-0"}') if seen.method == "POST" else None
    )
    server._jobs["job-0"] = type("Job", (), {"asked": {}, "fault": Fault(), "states": []})()
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"


# -- small things ---------------------------------------------------------------------------------


async def test_what_is_wrong_here_is_said_before_anything_is_sent(server):
    provider = made_with(server)
    with pytest.raises(ProviderError, match=r"no model flux-9 any more\.") as caught:
        await provider.submit(asked_for("flux-9"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    one = JobInput("a", "reference", 0, "image/png", lambda: png("a"))
    with pytest.raises(InvalidRequest, match="takes 4 images; 5 were given"):
        await provider.submit(asked_for("flux-2-klein-4b", inputs=(one,) * 5))
    with pytest.raises(InvalidRequest, match="needs an image"):
        await provider.submit(asked_for("flux-pro-1.0-expand"))

    def gone() -> bytes:
        raise OSError("no such file")

    lost = JobInput("a", "reference", 0, "image/png", gone)
    with pytest.raises(ProviderError, match="cannot be read"):
        await provider.submit(asked_for(inputs=(lost,)))
    await provider.close()
    assert server.requests == []


@pytest.mark.req("PRV-7")
async def test_the_account_can_be_asked_without_cost(server):
    provider = made_with(server)
    assert await provider.test() == "Black Forest Labs answered; 117.5 credits are left."
    wrong = made_with(server, key="bfl-wrong-0123456789")
    with pytest.raises(ProviderError) as caught:
        await wrong.test()
    assert caught.value.kind is ErrorKind.AUTH
    await provider.close()
    await wrong.close()


@pytest.mark.req("TOK-6")
def test_prices_are_dated_and_as_their_formula_says():
    catalogue = load("bfl", "bfl")
    assert catalogue.dated == "2026-11-21"
    # First megapixel, each further one, in cents (black-forest-labs/skills).
    told = {"pro": (3, "1.5"), "max": (7, 3), "flex": (5, 5), "klein-4b": ("1.4", "0.1")}
    for name, (first, more) in told.items():
        rate = catalogue.entries[f"flux-2-{name}"].model.rate
        for megapixels in (1, 4):
            cents = Decimal(first) + Decimal(more) * (megapixels - 1)
            asked = rate.micro({}, width=1000 * megapixels, height=1000)
            assert asked == int(cents * 10_000)


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with BFLEmulator(key=CANARY) as server, wb.open(workspace_home / "ws", user="ada") as ws:
        monkeypatch.setenv("BFL_API_KEY", CANARY)
        monkeypatch.setenv("BFL_BASE_URL", server.base_url)
        provider = BFL(pace=fast)
        ws.add_provider(provider)
        for fault in (
            None,
            Fault(status=401, body=f'{{"detail": "no {CANARY}"}}'.encode()),
            Fault(status=422, body=f'{{"detail": [{{"msg": "key {CANARY}"}}]}}'.encode()),
            Fault(status=500, body=f'{{"detail": "token {CANARY}"}}'.encode()),
            Fault(reset_after=0),
            Fault(image=CANARY.encode()),
        ):
            server.faults = [fault]
            batch = ws.generate("a fox", model="bfl:flux-2-pro").wait(30)
            shown += [repr(batch), batch.to_python(), json.dumps(batch.settings())]
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        server.ends = CANARY
        server.states = ({"status": "Error", "details": {"error": f"key {CANARY}"}},)
        shown.append(repr(only(ws.generate("a fox", model="bfl:flux-2-pro")).error))
        shown += [repr(provider), repr(vars(provider)), repr(vars(provider._line))]
        shown += [repr(ws.providers()), repr(ws.models()), repr(ws.doctor().to_dict())]
        shown += [ws.frame().to_csv(), ws.ledger().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


async def test_a_preview_at_an_address_is_fetched_without_the_key(server):
    server.states = (
        {"status": "Pending", "preview": {"url": f"{server.url}/files/job-0.png?x=1"}},
        {"status": "Pending", "preview": {"url": "http://127.0.0.1:9/nothing-there.png"}},
        {"status": "Pending", "preview": base64.b64encode(b"x" * 300_000).decode()},
    )
    provider = made_with(server)
    request = asked_for()
    events = await follow(provider, request, await provider.submit(request))
    await provider.close()
    assert [event.data for event in events if type(event).__name__ == "Partial"] == [png("a fox")]
    assert not any(isinstance(event, Log) for event in events)
    files = [seen for seen in server.requests if "/files/" in seen.path]
    assert not any("x-key" in seen.headers for seen in files)
