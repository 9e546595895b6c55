"""Servers that speak OpenAI's dialect, each with what its own documents say that it takes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import workbench as wb
from tests.providers.official import shipped
from tests.providers.world import several
from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.status import ErrorKind, Operation
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers.openai_images import OpenAIImages
from workbench.providers.together import Together
from workbench.testing.emulators.openai import TAKES, OpenAIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

Make = Callable[..., OpenAIEmulator]
TOGETHER_MODEL = "together:black-forest-labs/FLUX.2-flex"
CANARY = "tgp_v1_canary0123456789"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def emulator() -> Iterator[Make]:
    def kind(speaks: str, **how) -> OpenAIEmulator:
        hosted = speaks == "together"
        how = {"streams": False, "string_errors": speaks == "stable-diffusion.cpp", **how}
        how.setdefault("key", "tgp_v1_0123456789" if hosted else None)
        return OpenAIEmulator(speaks=speaks, **how)

    with several(kind) as make:
        yield lambda speaks, **how: make(speaks=speaks, **how)


def added(ws, server: OpenAIEmulator, profile: str, **changes) -> OpenAIImages:
    given = {"base_url": server.base_url, "profile": profile, "models": ("m",), **changes}
    provider = OpenAIImages("mine", **given)
    ws.add_provider(provider)
    return provider


def together(ws, server: OpenAIEmulator, **changes) -> Together:
    provider = Together(**{"base_url": server.base_url, "key": server.key, **changes})
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def one(batch: wb.Batch) -> wb.Generation:
    (generation,) = ended(batch).generations
    return generation


# -- what is sent ---------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_localai_cuts_prompts_at_a_bar_and_gets_only_the_cut_that_is_meant(ws, emulator):
    server = emulator("localai")
    added(ws, server, "localai")
    made = one(
        ws.generate("a | b", model="mine:m", seed=5, steps=9, width=256, negative_prompt="fog|rain")
    )
    assert (made.status, made.seed) == ("completed", 5)
    assert server.requests[0].json() == {
        "model": "m",
        "prompt": "a , b|fog,rain",
        "n": 1,
        "size": "256x512",
        "response_format": "b64_json",
        "seed": 5,
        "step": 9,
        "negative_prompt": "fog|rain",
    }
    assert made.record.prompt_sent == "a , b|fog,rain"


@pytest.mark.req("PRV-8")
def test_localai_gets_references_as_bare_base64(ws, emulator):
    server = emulator("localai")
    added(ws, server, "localai")
    pictures = [png("one"), png("two")]
    assert one(ws.generate("as these", model="mine:m", references=pictures)).status == "completed"
    (seen,) = server.requests
    assert seen.path == "/v1/images/generations"
    assert [base64.b64decode(text) for text in seen.json()["ref_images"]] == pictures


@pytest.mark.req("PRV-2", "PRV-8")
def test_vllm_omni_gets_its_own_names_in_both_kinds_of_request(ws, emulator):
    server = emulator("vllm-omni")
    added(ws, server, "vllm-omni", models=("Qwen/Qwen-Image",))
    given = {
        "seed": 3,
        "steps": 30,
        "cfg_scale": 4.5,
        "true_cfg_scale": 2,
        "negative_prompt": "fog",
    }
    one(ws.generate("a fox", model="mine:Qwen/Qwen-Image", **given))
    named = {
        "seed": 3,
        "num_inference_steps": 30,
        "guidance_scale": 4.5,
        "true_cfg_scale": 2,
        "negative_prompt": "fog",
        "response_format": "b64_json",
    }
    asked = server.requests[0].json()
    assert {name: asked[name] for name in named} == named
    one(ws.generate("a fox", model="mine:Qwen/Qwen-Image", references=[png("a")], **given))
    seen = server.requests[1]
    assert seen.path == "/v1/images/edits"
    fields = {part.name: part.content.decode() for part in seen.parts() if part.filename is None}
    assert {name: fields[name] for name in named} == {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in named.items()
    }
    assert [part.name for part in seen.parts() if part.filename] == ["image"]


@pytest.mark.req("PRV-2")
def test_stable_diffusion_cpp_has_one_model_and_parameters_in_the_prompt(ws, emulator):
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp", models=())
    made = one(ws.generate("a fox", model="mine:sd-cpp-local", seed=7, cfg_scale=3, steps=4))
    assert (made.status, made.seed, made.cost) == ("completed", 7, 0)
    prompt, _, rest = server.requests[0].json()["prompt"].partition(" <sd_cpp_extra_args>")
    assert (prompt, json.loads(rest.removesuffix("</sd_cpp_extra_args>"))) == (
        "a fox",
        {"seed": 7, "sample_params": {"sample_steps": 4, "guidance": {"txt_cfg": 3}}},
    )


@pytest.mark.req("PRV-2")
def test_nobody_sets_parameters_through_a_prompt(ws, emulator):
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp")
    block = '<sd_cpp_extra_args>{"width": 9999}</sd_cpp_extra_args>'
    one(ws.generate(f"a {block} fox", model="mine:m", negative_prompt=block, seed=1))
    sent = server.requests[0].json()["prompt"]
    assert sent.count("<sd_cpp_extra_args>") == sent.count("</sd_cpp_extra_args>") == 1
    inside = sent.partition("<sd_cpp_extra_args>")[2].partition("</sd_cpp_extra_args>")[0]
    assert json.loads(inside) == {"seed": 1, "negative_prompt": block}


@pytest.mark.req("PRV-8")
@pytest.mark.parametrize("kind", ["grey", "turned", "WEBP", "GIF"])
def test_stable_diffusion_cpp_gets_every_reference_as_what_it_can_read(ws, emulator, kind):
    """The real server leaves grey pictures and WebP out without a word, and turns none."""
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp")
    with Image.open(io.BytesIO(png("a scene"))) as image:
        shown = image.convert("L") if kind == "grey" else image.convert("RGB")
    given, exif = io.BytesIO(), Image.Exif()
    if kind == "turned":
        exif[0x0112] = 6  # as a phone that is held upright writes it
    shown.save(given, {"grey": "PNG", "turned": "JPEG"}.get(kind, kind), exif=exif)
    references = [given.getvalue(), png("another")]
    assert one(ws.generate("so", model="mine:m", references=references)).status == "completed"
    (seen,) = server.requests
    first, second = (part for part in seen.parts() if part.filename)
    assert (first.name, first.filename, first.content_type) == (
        "image[]",
        "image0.png",
        "image/png",
    )
    with Image.open(io.BytesIO(first.content)) as sent, Image.open(given) as meant:
        assert (sent.format, sent.mode) == ("PNG", "RGB")
        assert sent.tobytes() == ImageOps.exif_transpose(meant).convert("RGB").tobytes()
    assert second.content == references[1]


@pytest.mark.req("PRV-8")
def test_stable_diffusion_cpp_gets_white_where_a_mask_is_transparent(ws, emulator):
    """It looks at how light a mask is, and not at its alpha channel, as OpenAI does."""
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp")
    mask = Image.new("RGBA", (24, 16), (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 12, 16))
    out = io.BytesIO()
    mask.save(out, "PNG")
    made = one(ws.generate("so", model="mine:m", source=png("a"), mask=out.getvalue()))
    assert made.status == "completed"
    (sent,) = [part.content for part in server.requests[0].parts() if part.name == "mask"]
    with Image.open(io.BytesIO(sent)) as image:
        assert image.mode == "L"
        assert [image.getpixel((x, 5)) for x in (0, 11, 12, 23)] == [255, 255, 0, 0]


@pytest.mark.req("PRV-7")
def test_steps_that_stable_diffusion_cpp_would_lower_are_refused(ws, emulator):
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp")
    with pytest.raises(InvalidRequest, match="steps"):
        ws.generate("a fox", model="mine:m", steps=101)
    assert one(ws.generate("a fox", model="mine:m", steps=100)).status == "completed"


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_text_that_ends_the_server_of_stable_diffusion_cpp_is_not_sent(ws, emulator, field):
    """Some 29,000 bytes ended the real one; each of these letters has three."""
    server = emulator("stable-diffusion.cpp")
    added(ws, server, "stable-diffusion.cpp")
    error = one(ws.generate(model="mine:m", **{"prompt": "a fox", field: "雨" * 6_000})).error
    assert (error.kind, error.charged, server.requests) == ("bad_request", False, [])
    assert error.message.startswith(f"{field}: has 18,")
    assert "for stable-diffusion.cpp the limit is 16,000. Shorten it." in error.message
    given = {"prompt": "a fox", field: "雨" * 5_000}
    assert one(ws.generate(model="mine:m", **given)).status == "completed"
    assert "雨" * 5_000 in server.requests[0].json()["prompt"]  # as UTF-8: escapes are longer


@pytest.mark.req("PRV-7")
async def test_what_stable_diffusion_cpp_refuses_is_said_in_its_words(emulator):
    server = emulator("stable-diffusion.cpp")
    provider = OpenAIImages("mine", base_url=server.base_url, profile="stable-diffusion.cpp")
    request = JobRequest(
        "key", "sd-cpp-local", Operation.GENERATE, "a fox", None, 64, 64, {"cfg_scale": -1},
        (Slot("g", 0, 7),),
    )  # fmt: skip
    try:
        with pytest.raises(ProviderError, match="It says: invalid params") as caught:
            [event async for event in provider.events(request, await provider.submit(request))]
    finally:
        await provider.close()
    assert caught.value.kind is ErrorKind.BAD_REQUEST


@pytest.mark.req("PRV-2", "TOK-4")
def test_together_gets_its_own_names_and_no_price_is_told(ws, emulator):
    server = emulator("together")
    together(ws, server)
    given = {"width": 512, "height": 768, "steps": 9, "cfg_scale": 3.5, "output_format": "jpeg"}
    made = one(ws.generate("a fox", model=TOGETHER_MODEL, seed=2**40 + 1, **given))
    assert (made.status, made.seed) == ("completed", 1)
    assert server.requests[0].headers["authorization"] == f"Bearer {server.key}"
    assert server.requests[0].json() == {
        "model": "black-forest-labs/FLUX.2-flex",
        "prompt": "a fox",
        "n": 1,
        "width": 512,
        "height": 768,
        "response_format": "base64",
        "seed": 1,
        "steps": 9,
        "guidance_scale": 3.5,
        "output_format": "jpeg",
    }
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-8")
@pytest.mark.parametrize(
    ("model", "field", "many"),
    [("FLUX.2-pro", "reference_images", True), ("FLUX.1-kontext-pro", "image_url", False)],
)
def test_together_takes_references_under_the_models_own_name(ws, emulator, model, field, many):
    server = emulator("together")
    together(ws, server)
    name = f"together:black-forest-labs/{model}"
    assert one(ws.generate("so", model=name, references=[png("a")])).status == "completed"
    address = f"data:image/png;base64,{base64.b64encode(png('a')).decode()}"
    assert server.requests[0].json()[field] == ([address] if many else address)


def test_references_that_nobody_takes_are_refused_before_anything_is_sent(ws, emulator):
    server = emulator("together")
    together(ws, server)
    with pytest.raises(InvalidRequest, match="reference"):
        ws.generate("a", model="together:black-forest-labs/FLUX.1-schnell", references=[png("a")])
    assert server.requests == []


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("name", ["together", "localai"])
def test_the_emulator_takes_no_field_that_the_vendors_document_lacks(name):
    document = shipped(name)
    fields = document.fields(document.posted("/v1/images/generations"))
    assert set(TAKES[name]) <= set(fields)
    if name == "together":  # LocalAI's has the fields of chats, too
        assert set(TAKES[name]) == set(fields)


# -- which models there are -----------------------------------------------------------------------


@pytest.mark.req("PRV-2")
async def test_a_server_is_asked_which_models_it_has(emulator):
    server = emulator("localai", models=("flux.1-dev", "sd-3.5"))
    provider = OpenAIImages("mine", base_url=server.base_url, profile="localai")
    assert (provider.state().ready, provider.state().code) == (False, "error")
    assert "ws.refresh_provider('mine')" in provider.state().message
    assert server.requests == []
    assert await provider.discover() == ["flux.1-dev", "sd-3.5"]
    assert [model.id for model in provider.models()] == ["mine:flux.1-dev", "mine:sd-3.5"]
    assert provider.state().ready
    assert await provider.test() == "LocalAI answered; 2 models."
    assert [seen.path for seen in server.requests] == ["/v1/models"] * 2


@pytest.mark.req("PRV-2", "CFG-1")
def test_a_server_of_the_settings_is_asked_once_for_every_program(
    workspace_home, emulator, own_folder
):
    server = emulator("localai", models=("flux.1-dev", "sd-3.5"))
    (workspace_home / "ws").mkdir(parents=True)
    (workspace_home / "ws" / "config.toml").write_text(
        f'[servers.attic]\nkind = "openai"\nbase_url = "{server.base_url}"\nprofile = "localai"\n'
    )
    with wb.open(workspace_home / "ws", user="ada") as ws:
        (info,) = [one for one in ws.providers() if one.name == "attic"]
        assert (info.state.ready, info.testable, info.refreshable) == (False, True, True)
        assert ws.test_provider("attic") == "LocalAI answered; 2 models."
        assert not own_folder.exists()
        assert ws.refresh_provider("attic") == "LocalAI: 2 models as of today."
        (info,) = [one for one in ws.providers() if one.name == "attic"]
        assert (info.state.ready, info.models) == (True, ("attic:flux.1-dev", "attic:sd-3.5"))
    with wb.open(workspace_home / "ws", user="ada") as again:
        assert one(again.generate("a fox", model="attic:sd-3.5")).status == "completed"
    for text in ("", "[]", '{"models": 5}', '{"models": [{"name": "../x"}]}', '{"models": [5]}'):
        (own_folder / "server-attic.refreshed.json").write_text(text)
        provider = OpenAIImages("attic", base_url=server.base_url, profile="localai")
        assert (provider.models(), provider.state().code) == ([], "error")


@pytest.mark.req("PRV-2")
async def test_openais_own_list_says_nothing_of_what_its_models_can_do(emulator, own_folder):
    server = emulator("openai", key="sk-0123456789", models=("gpt-image-9", "gpt-8"))
    provider = OpenAIImages("oai", base_url=server.base_url, key=server.key)
    before = [model.id for model in provider.models()]
    assert not provider.can_refresh
    assert await provider.discover() == ["gpt-image-9", "gpt-8"]
    assert [model.id for model in provider.models()] == before
    assert not own_folder.exists()
    with pytest.raises(ProviderError, match="data file"):
        await provider.refresh()


async def test_of_togethers_list_those_of_pictures_are_added_to_the_known_ones(emulator):
    server = emulator("together", models=("black-forest-labs/FLUX.2-pro", "new/model"))
    provider = Together(base_url=server.base_url, key=server.key)
    before = {model.name for model in provider.models()}
    names = await provider.discover()
    assert names == ["black-forest-labs/FLUX.2-pro", "new/model"]
    assert {model.name for model in provider.models()} == {*before, "new/model"}
    (known,) = [m for m in provider.models() if m.name == "black-forest-labs/FLUX.2-pro"]
    assert known.title == "FLUX.2 [pro]"
    (new,) = [m for m in provider.models() if m.name == "new/model"]
    assert {"width", "height", "steps"} <= set(new.parameters)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"data": 5}', b'{"data": [1, {"id": 5}, {"id": "../x y"}, {"id": ""}]}'],
)
async def test_a_strange_list_is_an_empty_one(emulator, body):
    server = emulator("localai")
    server.faults = [Fault(status=200, body=body)]
    provider = OpenAIImages("mine", base_url=server.base_url, profile="localai")
    assert await provider.discover() == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=404), "does not know"),
        (Fault(status=401), "did not accept its key"),
        (Fault(reset_after=0), "broke off"),
        (Fault(status=200, body=b"<html>"), "not whole JSON"),
    ],
    ids=repr,
)
async def test_a_list_that_does_not_come_is_a_sentence(emulator, fault, said):
    server = emulator("localai")
    server.faults = [fault]
    provider = OpenAIImages("mine", base_url=server.base_url, profile="localai")
    with pytest.raises(ProviderError, match=said):
        await provider.discover()


def test_a_name_that_is_none_is_refused():
    with pytest.raises(InvalidRequest, match="cannot be the name"):
        OpenAIImages("mine", profile="localai", models=("../etc",))


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7")
def test_words_of_every_kind_of_error_are_shown(ws, emulator):
    server = emulator("vllm-omni")
    added(ws, server, "vllm-omni")
    for body in (
        b'{"detail": "said plainly"}',
        b'{"detail": [{"loc": ["body"], "msg": "said plainly", "type": "x"}]}',
        b'{"error": "said plainly"}',
        b'{"error": {"message": "said plainly", "code": 400}}',
    ):
        server.faults = [Fault(status=422, body=body)]
        error = one(ws.generate("a fox", model="mine:m")).error
        assert (error.kind, error.charged) == ("bad_request", False)
        assert "said plainly" in error.message


@pytest.mark.req("PRV-7", "TOK-5")
@pytest.mark.parametrize(
    "fault", [Fault(reset_after=0), Fault(reset_before=True), Fault(status=502)], ids=repr
)
def test_a_free_server_is_asked_again_after_anything(ws, emulator, fault):
    server = emulator("localai")
    added(ws, server, "localai")
    server.faults = [fault]
    assert one(ws.generate("a fox", model="mine:m")).status == "completed"
    assert len(server.requests) == 2


@pytest.mark.req("PRV-7", "TOK-5")
def test_an_address_that_expired_leaves_a_paid_picture_unknown(ws, emulator):
    server = emulator("together", urls=True)
    together(ws, server)
    server.expired = True
    lost = one(ws.generate("a fox", model=TOGETHER_MODEL))
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert server.images_charged == 1
    assert len([seen for seen in server.requests if seen.method == "POST"]) == 1
    assert "signature" not in repr(lost.record) + repr(ws.debug.entries())


@pytest.mark.req("PRV-7")
def test_an_address_elsewhere_is_not_fetched_without_https(ws, emulator):
    server = emulator("localai")
    added(ws, server, "localai")
    body = b'{"created": 1, "data": [{"url": "http://169.254.169.254/latest"}]}'
    server.faults = [Fault(status=200, body=body)]
    error = one(ws.generate("a fox", model="mine:m")).error
    assert (error.kind, error.charged) == ("bad_image", False)
    assert "169.254" not in error.message


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(images=0), "blocked"),
        (Fault(image=b"<html>"), "bad_image"),
        (Fault(cut=0.4), "bad_image"),
        (Fault(status=402), "quota"),
        (Fault(status=401, code="invalid_api_key"), "auth"),
    ],
    ids=repr,
)
def test_a_failure_of_a_paid_server_is_typed(ws, emulator, fault, kind):
    server = emulator("together")
    together(ws, server)
    server.faults = [fault]
    assert one(ws.generate("a fox", model=TOGETHER_MODEL)).error.kind == kind
    assert len(server.requests) == 1


@pytest.mark.req("PRV-4")
def test_a_busy_server_is_asked_again(ws, emulator):
    server = emulator("together")
    together(ws, server)
    server.faults = [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=503)]
    assert one(ws.generate("a fox", model=TOGETHER_MODEL)).status == "completed"
    assert server.images_charged == 1


# -- a client that is not ours --------------------------------------------------------------------


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("speaks", ["together", "localai", "stable-diffusion.cpp", "vllm-omni"])
def test_the_official_client_of_openai_speaks_to_such_a_server_too(emulator, speaks):
    import openai as sdk

    server = emulator(speaks)
    given = {"api_key": server.key or "none", "base_url": server.base_url, "max_retries": 0}
    with sdk.OpenAI(**given) as official:
        made = official.images.generate(model="m", prompt="a fox", n=2)
        pictures = [base64.b64decode(one.b64_json) for one in made.data]
        assert pictures == [png("a fox|0"), png("a fox|1")]
        edit = {"model": "m", "prompt": "a hat", "image": ("a.png", png("a"), "image/png")}
        if speaks in ("together", "localai"):
            with pytest.raises(sdk.NotFoundError):
                official.images.edit(**edit)
        else:
            (edited,) = official.images.edit(**edit).data
            assert base64.b64decode(edited.b64_json) == png("a hat|0")
        server.faults = [Fault(status=400), Fault(status=429), Fault(reset_after=0)]
        for error in (sdk.BadRequestError, sdk.RateLimitError, sdk.APIConnectionError):
            with pytest.raises(error):
                official.images.generate(model="m", prompt="a fox")


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7", "CFG-1")
def test_togethers_key_goes_to_together_or_where_its_address_was_set(ws, emulator, monkeypatch):
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    assert Together().state().code == "key_missing"
    assert "TOGETHER_API_KEY" in Together().state().message
    monkeypatch.setenv("TOGETHER_API_KEY", CANARY)
    assert Together().state().ready
    assert not Together(base_url="http://127.0.0.1:9/v1").state().ready
    server = emulator("together", key=CANARY)
    monkeypatch.setenv("TOGETHER_BASE_URL", server.base_url)
    ws.add_provider(Together())
    server.faults = [None, Fault(status=500, body=f'{{"error": "{CANARY}"}}'.encode())]
    assert one(ws.generate("a fox", model=TOGETHER_MODEL)).status == "completed"
    assert one(ws.generate("a fox", model=TOGETHER_MODEL)).status == "completed"
    assert CANARY not in repr(ws.debug.entries())
    for path in Path(ws.path).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
