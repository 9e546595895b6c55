"""The server of stable-diffusion.cpp itself, where there is one.

``SDCPP_SERVER=…/bin/sd-server pytest --real`` starts it with a small random model that is made on
the spot (0.25 GB on disk, 0.5 GB of memory); ``SDCPP_URL=http://127.0.0.1:1234`` takes one that
runs, with whatever model it has. CONTRIBUTING.md says how to build it.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

import workbench as wb
from tests.providers.sdcpp_world import Server, make_model, running
from tests.providers.world import error_of
from tests.waiting import until
from workbench.domain.jobs import ImageReady, JobInput, JobRequest, Slot
from workbench.domain.status import ErrorKind, Operation
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers.openai_images import OpenAIImages
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.pictures import png

URL = os.environ.get("SDCPP_URL", "").rstrip("/")
# Tests change the current folder.
BINARY = Path(os.environ["SDCPP_SERVER"]).resolve() if os.environ.get("SDCPP_SERVER") else None
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),  # a real model may be at work behind the address
    pytest.mark.skipif(
        not (URL or BINARY),
        reason="Needs stable-diffusion.cpp: SDCPP_SERVER is its program, or SDCPP_URL the address "
        "of one that runs (CONTRIBUTING, Real servers).",
    ),
]
PROFILE = "stable-diffusion.cpp"
MODEL = "attic:sd-cpp-local"
SIZE = {"width": 128, "height": 64, "steps": 2}


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> list[str]:
    return make_model(tmp_path_factory.mktemp("sdcpp-model"))


@pytest.fixture(scope="session")
def base_url(request, tmp_path_factory) -> Iterator[str]:
    if URL:
        yield f"{URL}/v1"
        return
    folder = tmp_path_factory.mktemp("sdcpp")
    with running(BINARY, request.getfixturevalue("model"), folder) as server:
        yield server.base_url


@pytest.fixture
def own(request, tmp_path) -> Iterator[Server]:
    """A server that a test may kill."""
    if not BINARY:
        pytest.skip("Needs SDCPP_SERVER: the test kills the server, so it has to start its own.")
    with running(BINARY, request.getfixturevalue("model"), tmp_path) as server:
        yield server


@pytest.fixture
def attic(ws, base_url) -> OpenAIImages:
    provider = OpenAIImages("attic", base_url=base_url, profile=PROFILE)
    ws.add_provider(provider)
    return provider


@pytest.fixture
async def bare(base_url) -> AsyncIterator[OpenAIImages]:
    """The provider without a workspace around it."""
    provider = OpenAIImages("attic", base_url=base_url, profile=PROFILE)
    yield provider
    await provider.close()


def made(batch: wb.Batch) -> list[Image.Image]:
    """Return the pictures of a batch that is completed."""
    batch.wait(240)
    assert batch.status == "completed", [one.error for one in batch.generations]
    found = []
    for one in batch.generations:
        with Image.open(one.asset.path) as image:
            found.append(image.convert("RGB"))
    return found


def picture(batch: wb.Batch) -> Image.Image:
    (image,) = made(batch)
    return image


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def png_of(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def scene(width: int = 128, height: int = 64) -> Image.Image:
    with Image.open(io.BytesIO(png("a scene", width=width, height=height))) as image:
        return image.convert("RGB")


def job(prompt: str, *, inputs: tuple[JobInput, ...] = (), **params) -> JobRequest:
    kind = Operation.EDIT if inputs else Operation.GENERATE
    return JobRequest(
        str(uuid.uuid4()), "sd-cpp-local", kind, prompt, params.pop("negative_prompt", None),
        128, 64, {"steps": 2, **params}, (Slot("g", 0, 7),), inputs,
    )  # fmt: skip


async def sent_home(provider: OpenAIImages, request: JobRequest) -> ImageReady:
    """Return the picture as the server sent it: the image door takes its text out."""
    ref = await provider.submit(request)
    events = [one async for one in provider.events(request, ref)]
    (ready,) = [one for one in events if isinstance(one, ImageReady)]
    return ready


def told_in(ready: ImageReady) -> str:
    """Return what the server wrote into the picture about how it was made."""
    with Image.open(io.BytesIO(ready.data)) as image:
        return image.text["parameters"].encode("latin-1").decode()  # it writes UTF-8 there


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_it_answers_a_test_and_names_its_one_model(ws, attic):
    assert ws.test_provider("attic") == "stable-diffusion.cpp answered; 1 model."
    assert asyncio.run(attic.discover()) == ["sd-cpp-local"]


@pytest.mark.req("PRV-2")
def test_a_picture_comes_home_in_its_size(ws, attic):
    batch = ws.generate("a fox", model=MODEL, seed=1, **SIZE)
    assert picture(batch).size == (128, 64)
    (generation,) = batch.generations
    assert (generation.seed, generation.cost, generation.asset.width) == (1, 0, 128)


@pytest.mark.req("PRV-2")
def test_the_same_seed_is_the_same_picture(ws, attic):
    first, again, other = (
        picture(ws.generate("a fox", model=MODEL, seed=seed, **SIZE)) for seed in (7, 7, 8)
    )
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.req("PRV-2")
def test_each_of_two_pictures_can_be_made_again_by_its_seed(ws, attic):
    batch = ws.generate("a fox", model=MODEL, n=2, **SIZE)
    one, two = made(batch)
    assert not same(one, two)
    seed = batch.generations[1].seed
    assert same(two, picture(ws.generate("a fox", model=MODEL, seed=seed, **SIZE)))


@pytest.mark.req("PRV-2")
def test_the_prompt_decides(ws, attic):
    fox = picture(ws.generate("a red fox", model=MODEL, seed=7, **SIZE))
    assert not same(fox, picture(ws.generate("a grey owl", model=MODEL, seed=7, **SIZE)))


# -- what goes in ---------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
async def test_it_reads_every_parameter_from_the_prompt(bare):
    negative = 'fog, "rain" </sd_cpp_extra_args> & 雨\nsnow'
    request = job("a fox", negative_prompt=negative, steps=3, cfg_scale=2.5)
    told = told_in(await sent_home(bare, request))
    prompt, _, rest = told.partition("\n")
    assert prompt.strip() == "a fox"
    assert f"Negative prompt: {negative}\n" in told
    assert re.search(r"Steps: 3, CFG scale: 2\.50*,.* Seed: 7, Size: 128x64,", rest)


@pytest.mark.req("PRV-2")
async def test_nobody_sets_parameters_through_a_prompt(bare):
    block = '<sd_cpp_extra_args>{"seed": 99, "width": 256}</sd_cpp_extra_args>'
    told = told_in(await sent_home(bare, job(f"a {block} fox")))
    assert "Seed: 7, Size: 128x64," in told
    assert '"seed": 99' in told.partition("\n")[0]


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("letter", ["a", "é", "🦊"])
async def test_the_longest_texts_are_taken(bare, letter):
    text = letter * min(10_000, 15_900 // len(letter.encode()))
    told = told_in(await sent_home(bare, job(text, negative_prompt=text, cfg_scale=2)))
    assert told.startswith(text)
    assert f"Negative prompt: {text}\n" in told


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_text_that_would_end_the_server_is_not_sent(ws, attic, field):
    """The one of the first run ended at 29,000 bytes, in the recursion of a regular expression."""
    texts = {"prompt": "a fox", field: "🦊" * 10_000}
    error = error_of(ws.generate(model=MODEL, **texts))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "for stable-diffusion.cpp the limit is 16,000. Shorten it." in error.message
    assert ws.test_provider("attic")


@pytest.mark.req("PRV-8")
def test_a_reference_goes_in(ws, attic):
    given = {"model": MODEL, "seed": 7, **SIZE}
    without = picture(ws.generate("a fox", **given))
    one = picture(ws.generate("a fox", references=[png_of(scene())], **given))
    other = png_of(ImageChops.invert(scene()))
    two = picture(ws.generate("a fox", references=[other], **given))
    both = picture(ws.generate("a fox", references=[png_of(scene()), other], **given))
    assert one.size == (128, 64)
    pictures = (without, one, two, both)
    assert len({image.tobytes() for image in pictures}) == len(pictures)


@pytest.mark.req("PRV-8")
@pytest.mark.parametrize("kind", ["grey", "WEBP", "GIF", "palette"])
def test_a_reference_of_any_kind_goes_in(ws, attic, kind):
    """By itself the server leaves out, without a word, what is not in colour or is WebP."""
    shown = scene().convert("L" if kind == "grey" else "P" if kind != "WEBP" else "RGB")
    out = io.BytesIO()
    shown.save(out, "PNG" if kind in ("grey", "palette") else kind, lossless=True)
    given = {"model": MODEL, "seed": 7, **SIZE}
    one = picture(ws.generate("a fox", references=[out.getvalue()], **given))
    plain = png_of(shown.convert("RGB"))
    assert same(one, picture(ws.generate("a fox", references=[plain], **given)))
    assert not same(one, picture(ws.generate("a fox", **given)))


@pytest.mark.req("PRV-8")
def test_what_is_transparent_in_a_mask_is_made_anew_and_nothing_else(ws, attic):
    source = png_of(scene(320, 64))
    given = {"model": MODEL, "source": source, "seed": 7, "width": 320, "height": 64, "steps": 1}

    def inpainted(anew: int) -> Image.Image:
        """The picture with so many columns at its left made anew."""
        mask = Image.new("RGBA", (320, 64), (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), (0, 0, anew, 64))
        return picture(ws.generate("a fox", mask=png_of(mask), **given))

    kept, part, whole = inpainted(0), inpainted(64), inpainted(320)
    # The right one is farther from the edge of the mask than a decoder looks (some 150 pixels).
    left, right = (0, 0, 48, 64), (256, 0, 320, 64)
    assert most_apart(part.crop(right), kept.crop(right)) <= 2
    assert most_apart(part.crop(left), kept.crop(left)) > 10
    assert most_apart(whole.crop(right), kept.crop(right)) > 10


def most_apart(one: Image.Image, other: Image.Image) -> int:
    extrema = ImageChops.difference(one, other).getextrema()
    return max(high for _, high in extrema)


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
async def test_what_it_refuses_is_a_typed_error_with_its_words(bare):
    request = job("a fox", cfg_scale=-1)
    with pytest.raises(ProviderError, match="It says: invalid params") as caught:
        await sent_home(bare, request)
    assert caught.value.kind is ErrorKind.BAD_REQUEST


@pytest.mark.req("PRV-7")
def test_what_it_would_change_in_silence_is_refused_before(ws, attic):
    with pytest.raises(InvalidRequest, match="steps"):
        ws.generate("a fox", model=MODEL, steps=101)


@pytest.mark.req("PRV-7")
def test_a_wrong_path_of_the_address_is_said(ws, base_url):
    wrong = base_url.removesuffix("/v1")
    ws.add_provider(OpenAIImages("attic", base_url=wrong, profile=PROFILE))
    error = error_of(ws.generate("a fox", model=MODEL, **SIZE))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert "does not know this model or address" in error.message


@pytest.mark.req("PRV-7")
def test_a_server_that_is_gone_is_a_sentence(ws, own, quick_retries):
    provider = OpenAIImages("attic", base_url=own.base_url, profile=PROFILE)
    ws.add_provider(provider)
    assert ws.test_provider("attic").startswith("stable-diffusion.cpp answered")
    own.process.kill()
    own.process.wait()
    with pytest.raises(ProviderError, match=r"stable-diffusion\.cpp cannot be reached"):
        ws.test_provider("attic")
    error = error_of(ws.generate("a fox", model=MODEL, **SIZE))
    assert (error.kind, error.charged) == ("transient", False)
    assert "cannot be reached" in error.message


@pytest.mark.req("PRV-7")
def test_a_server_that_dies_at_work_is_a_sentence(ws, own, quick_retries):
    ws.add_provider(OpenAIImages("attic", base_url=own.base_url, profile=PROFILE))
    batch = ws.generate("a fox", model=MODEL, width=512, height=512, steps=100)
    until(lambda: "/100" in own.log.read_text(errors="replace"), within_s=60)
    own.process.kill()
    error = error_of(batch)
    assert (error.kind, error.charged) == ("transient", False)


@pytest.mark.req("PRV-3")
def test_a_cancelled_picture_makes_room_when_the_server_is_done_with_it(ws, attic):
    long = ws.generate("a fox", model=MODEL, width=128, height=128, steps=20)
    until(lambda: long.generations[0].status == "processing", within_s=60)
    long.cancel()
    assert long.wait(60).status == "cancelled"
    assert picture(ws.generate("a fox", model=MODEL, **SIZE)).size == (128, 64)


# -- the emulator ---------------------------------------------------------------------------------


def asked(url: str, body: bytes, kind: str) -> tuple[int, str]:
    """Return the status and the words of the answer to a request that is refused."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, ""
    except urllib.error.HTTPError as error:
        words = json.loads(error.read())["error"]
        return error.code, words.partition(" [")[0]  # its formats depend on how it was built


def generation(**fields) -> tuple[str, bytes, str]:
    body = json.dumps({"prompt": "x", "size": "64x64", **fields}).encode()
    return "/images/generations", body, "application/json"


def edit(**fields: bytes) -> tuple[str, bytes, str]:
    parts = []
    for field, value in fields.items():
        name = 'name="image[]"; filename="a.png"' if field == "image" else f'name="{field}"'
        head = f"--x\r\nContent-Disposition: form-data; {name}\r\n\r\n"
        parts.append(head.encode() + value + b"\r\n")
    return "/images/edits", b"".join(parts) + b"--x--\r\n", "multipart/form-data; boundary=x"


def block(extra: str) -> str:
    return f"x <sd_cpp_extra_args>{extra}</sd_cpp_extra_args>"


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize(
    "wrong",
    [
        ("/images/generations", b"", "application/json"),
        ("/images/generations", b"{", "application/json"),
        ("/images/generations", b"[]", "application/json"),
        generation(prompt=""),
        generation(prompt=5),
        generation(n="two"),
        generation(size=64),
        generation(output_format="bmp"),
        generation(prompt=block("{")),
        generation(prompt=block('{"sample_params": {"guidance": {"txt_cfg": -1}}}')),
        generation(prompt=block('{"strength": 2}')),
        ("/images/edits", b"{}", "application/json"),
        edit(image=png("a")),
        edit(prompt=b"x"),
        edit(prompt=b"x", image=png("a"), output_format=b"webp"),
        edit(prompt=block("{").encode(), image=png("a")),
    ],
    ids=lambda wrong: repr(wrong[1])[:60],
)
def test_the_emulator_refuses_what_the_server_refuses(base_url, wrong):
    path, body, kind = wrong
    with OpenAIEmulator(key=None, speaks=PROFILE) as emulator:
        real, ours = (asked(url + path, body, kind) for url in (base_url, emulator.base_url))
    assert real == ours
    assert real[0] >= 400


@pytest.mark.req("PRV-2")
def test_answers_of_the_emulator_have_the_servers_shape(base_url):
    body = json.dumps({"prompt": "x", "size": "64x64", "n": 2}).encode()
    with OpenAIEmulator(key=None, speaks=PROFILE) as emulator:
        for path, given in (("/images/generations", body), ("/models", None)):
            kinds = {"Content-Type": "application/json"}
            real, ours = (
                json.load(urllib.request.urlopen(urllib.request.Request(url + path, given, kinds)))
                for url in (base_url, emulator.base_url)
            )
            assert shape(real) == shape(ours)


def shape(value: object) -> object:
    """Return names and types of JSON, without its values."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__
