"""Diffusers in process. Above: what holds without torch. Below: the real libraries, no fakes.

The lower part runs where torch, diffusers and transformers are installed (`make test-diffusers`),
with tiny pipelines that are made on the spot.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from importlib.util import find_spec
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobInput,
    JobRef,
    JobRequest,
    Log,
    Partial,
    Running,
    Slot,
)
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError, ErrorKind, InvalidRequest, ProviderError
from workbench.ports import Provider
from workbench.providers import local_diffusers
from workbench.providers.diffusers_failures import of_loading, of_painting
from workbench.providers.diffusers_sources import Source, sources_in, sources_of, traits_of
from workbench.providers.local_diffusers import PIP, Diffusers
from workbench.testing.pictures import png
from workbench.testing.provider_contract import ProviderContract

HAS_TORCH = all(find_spec(name) is not None for name in ("torch", "diffusers", "transformers"))
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs torch: make test-diffusers")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def installed(monkeypatch) -> None:
    """The state of a machine that has the libraries (they are not imported)."""
    monkeypatch.setattr(local_diffusers, "find_spec", lambda name: object())


def asked(
    model="tiny", *, seed=1, n=1, size=None, negative=None, inputs=(), **params
) -> JobRequest:
    width, height = size or (None, None)
    slots = tuple(Slot(f"g{index}", index, seed + index) for index in range(n))
    operation = Operation.EDIT if inputs else Operation.GENERATE
    return JobRequest(
        "key", model, operation, "a red fox", negative, width, height, params, slots, inputs
    )


def source_of(data: bytes, role: str = "source") -> JobInput:
    return JobInput("a", role, 0, "image/png", lambda: data)


# -- which pipelines ------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_pipelines_are_named_by_hub_names_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "mine").mkdir(parents=True)
    found = sources_of(["owner/name", "owner/other@v1.0", "./rel", "here/mine", tmp_path / "a b"])
    assert found == {
        "owner/name": Source("owner/name", "owner/name"),
        "owner/other@v1.0": Source("owner/other@v1.0", "owner/other", "v1.0"),
        "rel": Source("rel", str(tmp_path / "rel"), None, True),
        "mine": Source("mine", str(tmp_path / "here" / "mine"), None, True),
        "a-b": Source("a-b", str(tmp_path / "a b"), None, True),
    }
    assert sources_of({"x": "owner/name"}) == {"x": Source("x", "owner/name")}
    assert list(sources_of("owner/name")) == ["owner/name"]


def test_the_variable_takes_commas_and_the_separator_of_paths():
    text = f" owner/name , mine=/models/a{os.pathsep}/models/b,, "
    assert list(sources_in(text)) == ["owner/name", "mine", "b"]
    assert sources_in("") == {}
    pasted = "https://huggingface.co/owner/name,x=https://hf.co/owner/other"
    assert [one.place for one in sources_in(pasted).values()] == ["owner/name", "owner/other"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("two words", "is neither a Hub name"),
        ("a/b/c", "is neither a Hub name"),
        ("https://huggingface.co/owner/name/tree/main", "is neither a Hub name"),
        ("=owner/name", "cannot be the name"),
        ("a b=owner/name", "cannot be the name"),
        ("mine=", "is neither a Hub name"),
        ("x=owner/a,x=owner/b", "two pipelines are called 'x'"),
        ("/models/a,/other/a", "two pipelines are called 'a'"),
    ],
)
def test_what_names_no_pipeline_is_told(given, words, installed, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DIFFUSERS", given)
    provider = Diffusers()
    state = provider.state()
    assert (state.ready, state.code) == (False, "error")
    assert words in state.message
    assert "WORKBENCH_DIFFUSERS" in state.message
    assert provider.models() == ()


@pytest.mark.parametrize(
    "given",
    [
        {"models": [3]},
        {"models": [""]},
        {"models": ["owner/name\n"]},
        {"models": ["owner/a", "owner/a"]},
        {"models": {"a b": "owner/name"}},
        {"models": {"": "owner/name"}},
        {"device": "gpu"},
        {"device": 0},
        {"device": "cuda:x"},
        {"dtype": "float8"},
    ],
    ids=repr,
)
def test_what_a_program_gives_is_checked_at_once(given):
    with pytest.raises(ConfigurationError):
        Diffusers(**given)


def test_device_and_dtype_of_the_environment_are_checked(installed, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DIFFUSERS", "owner/name")
    provider = Diffusers()
    assert provider.state().ready
    for name in ("WORKBENCH_DIFFUSERS_DEVICE", "WORKBENCH_DIFFUSERS_DTYPE"):
        monkeypatch.setenv(name, "nonsense")
        state = provider.state()
        assert (state.ready, state.code) == (False, "error")
        assert name in state.message
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DEVICE", " CUDA:1 ")
    assert provider.state().ready


# -- without the libraries ------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "CFG-1")
def test_without_the_libraries_it_says_how_to_install_them(ws, monkeypatch):
    monkeypatch.setattr(local_diffusers, "find_spec", lambda name: None)
    ws.add_provider(Diffusers(models=["stabilityai/sd-turbo"]))
    (info,) = [info for info in ws.providers() if info.name == "diffusers"]
    assert (info.state.ready, info.state.code) == (False, "package_missing")
    assert info.state.message.endswith(PIP)
    assert "torch, diffusers, transformers" in info.state.message
    with pytest.raises(InvalidRequest, match="pip install"):
        ws.generate("a fox", model="diffusers:stabilityai/sd-turbo")


def test_it_is_there_once_they_are_installed(monkeypatch):
    there: set[str] = {"diffusers", "transformers"}
    monkeypatch.setattr(
        local_diffusers, "find_spec", lambda name: object() if name in there else None
    )
    provider = Diffusers(models=["owner/name"])
    assert provider.state().message == f"Not installed here: torch. Install with: {PIP}"
    there.add("torch")
    assert provider.state().ready


def test_without_a_pipeline_it_says_where_to_name_one(installed):
    state = Diffusers().state()
    assert (state.ready, state.code) == (False, "error")
    assert "WORKBENCH_DIFFUSERS" in state.message


def test_nothing_heavy_is_imported_for_lists_and_forms(tmp_path):
    program = """
        import sys
        from workbench.providers.local_diffusers import Diffusers
        provider = Diffusers(models=["stabilityai/sd-turbo"])
        provider.state(), provider.models()
        heavy = ("torch", "diffusers", "transformers", "huggingface_hub", "numpy", "PIL", "httpx")
        print([name for name in heavy if name in sys.modules])
        """
    assert run(program, tmp_path) == "[]"


@pytest.mark.req("PRV-3")
def test_it_has_the_protocol_of_providers():
    provider = Diffusers(models=["owner/name"])
    assert isinstance(provider, Provider)
    assert provider.concurrency == 1


# -- forms ----------------------------------------------------------------------------------------


def parameters(provider: Diffusers) -> dict[str, object]:
    (model,) = provider.models()
    return {name: one.default for name, one in model.parameters.items()}


def test_a_pipeline_that_nobody_knows_is_asked_for_its_own_defaults():
    provider = Diffusers(models=["owner/unheard-of"])
    (model,) = provider.models()
    assert parameters(provider) == {
        "width": None,
        "height": None,
        "steps": None,
        "guidance_scale": None,
        "strength": 0.6,
    }
    assert model.check({}) == {"strength": 0.6}
    assert model.operations == (Operation.GENERATE, Operation.EDIT)


def test_distilled_models_have_few_steps():
    assert parameters(Diffusers(models=["stabilityai/sd-turbo"])) == {
        "width": 512,
        "height": 512,
        "steps": 1,
        "guidance_scale": 0.0,
        "strength": 0.8,
    }


def written(folder: Path, pipeline: str, *, side: int | None = None) -> Path:
    (folder / "unet").mkdir(parents=True)
    (folder / "vae").mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    (folder / "unet" / "config.json").write_text(json.dumps({"sample_size": side}))
    (folder / "vae" / "config.json").write_text('{"block_out_channels": [1, 2, 3, 4]}')
    return folder


@pytest.mark.parametrize(
    ("pipeline", "side", "expected"),
    [
        ("StableDiffusionPipeline", 64, (512, 50, 7.5, 0.8)),
        ("StableDiffusionPipeline", 96, (768, 50, 7.5, 0.8)),
        ("StableDiffusionXLPipeline", 128, (1024, 50, 5.0, 0.3)),
        ("StableDiffusionXLPipeline", None, (1024, 50, 5.0, 0.3)),
        ("FluxPipeline", None, (1024, 28, 3.5, 0.6)),
        ("QwenImagePipeline", None, (1024, 50, 4.0, 0.6)),
    ],
)
def test_a_folder_says_what_it_takes(tmp_path, pipeline, side, expected):
    provider = Diffusers(models={"mine": written(tmp_path / "a", pipeline, side=side)})
    found = parameters(provider)
    names = ("width", "steps", "guidance_scale", "strength")
    assert tuple(found[name] for name in names) == expected


def test_pipelines_differ_in_what_they_do(tmp_path):
    (flux,) = Diffusers(models=[written(tmp_path / "a", "FluxPipeline")]).models()
    assert not flux.negative_prompt
    (sana,) = Diffusers(models=[written(tmp_path / "b", "SanaPipeline")]).models()
    assert sana.operations == (Operation.GENERATE,)
    assert sana.max_references == 0
    assert "strength" not in sana.parameters
    (edit,) = Diffusers(models=[written(tmp_path / "c", "QwenImageEditPipeline")]).models()
    assert edit.operations == (Operation.EDIT,)
    (cascade,) = Diffusers(
        models=[written(tmp_path / "d", "StableCascadeCombinedPipeline")]
    ).models()
    assert "guidance_scale" not in cascade.parameters


@pytest.mark.parametrize(
    "text", ["{nope", "[]", '{"_class_name": ["a", "B"]}', "[" * 100_000, "x" * 2_000_000]
)
def test_a_configuration_that_is_none_hides_no_model(tmp_path, text):
    folder = written(tmp_path / "a", "X")
    (folder / "model_index.json").write_text(text)
    (model,) = Diffusers(models=[folder]).models()
    assert model.parameters["steps"].default is None


def test_what_lies_in_the_cache_of_the_hub_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    repository = tmp_path / "hub" / "models--owner--name"
    written(repository / "snapshots" / "c0ffee", "StableDiffusionPipeline", side=96)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c0ffee")
    assert traits_of(Source("x", "owner/name")).size == 768
    assert traits_of(Source("x", "owner/name", "c0ffee")).size == 768
    assert traits_of(Source("x", "owner/name", "other")).size is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert traits_of(Source("x", "owner/name")).size is None


def test_sizes_are_multiples_of_8(ws, installed):
    ws.add_provider(Diffusers(models={"turbo": "stabilityai/sd-turbo"}))
    for wrong in ({"width": 500}, {"steps": 0}, {"strength": 2}, {"guidance_scale": -1}):
        with pytest.raises(InvalidRequest):
            ws.generate("a fox", model="diffusers:turbo", **wrong)


@pytest.mark.parametrize(
    ("model", "device", "words"),
    [("gone", "cpu", "no pipeline gone any more"), ("a", "nonsense", "WORKBENCH_DIFFUSERS_DEVICE")],
)
async def test_what_is_wrong_by_the_time_of_a_job_is_a_sentence(monkeypatch, model, device, words):
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DEVICE", device)
    provider = Diffusers(models={"a": "owner/name"})
    with pytest.raises(ProviderError, match=words) as caught:
        async for _ in provider.events(asked(model), JobRef()):
            pass
    assert caught.value.kind is ErrorKind.UNAVAILABLE


async def test_closing_without_a_job_ends_at_once():
    provider = Diffusers(models=["owner/name"])
    await provider.close()


# -- errors in words ------------------------------------------------------------------------------


def chained(*names: str) -> Exception:
    """An error with others below it, as the libraries raise them, known by their names."""
    error: Exception | None = None
    for name in reversed(names):
        above = type(name, (OSError,), {})("words")
        above.__cause__ = error
        error = above
    assert error is not None
    return error


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (chained("OSError", "GatedRepoError"), "unavailable", "accepts its terms"),
        (chained("RepositoryNotFoundError"), "unavailable", "has no pipeline owner/name"),
        (chained("RevisionNotFoundError"), "unavailable", "has no revision v1"),
        (chained("OSError", "OfflineModeIsEnabled"), "unavailable", "HF_HUB_OFFLINE"),
        (chained("LocalEntryNotFoundError"), "unavailable", "HF_HUB_OFFLINE"),
        (chained("OSError", "ConnectError"), "unavailable", "cannot be reached"),
        (chained("LocalEntryNotFoundError", "ConnectTimeout"), "unavailable", "cannot be reached"),
        (chained("OSError", "ReadTimeout"), "transient", "The download of owner/name broke off"),
        (MemoryError(), "bad_request", "not enough memory on cuda"),
        (RuntimeError("CUDA out of memory. Tried"), "bad_request", "not enough memory on cuda"),
        (KeyError("x"), "unavailable", "cannot be loaded"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else None,
)
def test_what_keeps_a_pipeline_from_loading_is_said(error, kind, words):
    told = of_loading(error, Source("mine", "owner/name", "v1"), "cuda")
    assert told.kind == kind
    assert words in told.message


def test_bugs_stay_bugs():
    assert of_painting(RuntimeError("shapes"), "mine", "cpu") is None
    told = of_painting(RuntimeError("[...] can't allocate memory: you tried"), "mine", "cpu")
    assert told is not None
    assert told.kind is ErrorKind.BAD_REQUEST


# -- with the libraries ---------------------------------------------------------------------------


def run(program: str, folder: Path, *arguments: object, timeout_s: float = 150) -> str:
    """Run a program in a process of its own and return what it printed last."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(program))
    # One thread each: two that spin for one core, as on a busy machine, are slower by far.
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "WORKBENCH_HOME": str(folder / "ws"),
    }
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", path, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
        cwd=folder,
        check=False,
    )
    assert ended.returncode == 0, (ended.returncode, ended.stdout, ended.stderr[-3000:])
    return ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else ""


@pytest.fixture(scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # as in `run`


@pytest.fixture(scope="session")
def tiny(one_thread, tmp_path_factory) -> Path:
    from workbench.testing.tiny_pipeline import make_tiny_pipeline

    return make_tiny_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture(scope="session")
def slow(one_thread, tmp_path_factory) -> Path:
    """One with steps that take a while."""
    from workbench.testing.tiny_pipeline import make_tiny_pipeline

    folder = tmp_path_factory.mktemp("pipelines") / "slow"
    return make_tiny_pipeline(folder, seed=1, blocks=(64, 128))


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture
async def made():
    """Makes providers, and closes them."""
    providers = []

    def make(device: str | None = "cpu", **models: Path) -> Diffusers:
        providers.append(Diffusers(models=models, device=device))
        return providers[-1]

    yield make
    for one in providers:
        await one.close()


@pytest.fixture
def provider(made, tiny) -> Diffusers:
    return made(tiny=tiny)


async def events_of(provider: Diffusers, request: JobRequest) -> list:
    return [event async for event in provider.events(request, JobRef())]


async def picture_of(provider: Diffusers, request: JobRequest) -> bytes:
    (image,) = [one for one in await events_of(provider, request) if isinstance(one, ImageReady)]
    return image.data


def opened(data: bytes):
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def free_within(provider: Diffusers, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while provider._studio.is_busy and time.monotonic() < until:
        time.sleep(0.002)
    return not provider._studio.is_busy


@needs_torch
@pytest.mark.req("PRV-2", "PRV-4")
def test_pictures_come_with_steps_and_what_made_them(ws, tiny):
    ws.add_provider(Diffusers(models={"tiny": tiny}, device="cpu"))
    batch = ws.generate("a red fox", model="diffusers:tiny", n=2, seed=3, steps=4).wait(40)
    assert [(g.status, g.seed, g.record.total_steps) for g in batch.generations] == [
        ("completed", 3, 4),
        ("completed", 4, 4),
    ]
    assert all(opened(g.asset.read()).size == (64, 64) for g in batch.generations)
    assert batch.generations[0].asset.id != batch.generations[1].asset.id
    again = ws.generate("a red fox", model="diffusers:tiny", seed=4, steps=4).wait(40)
    assert again.generations[0].asset.id == batch.generations[1].asset.id
    (info,) = [info for info in ws.providers() if info.name == "diffusers"]
    assert info.state.message == "In memory: tiny: 5 MB on cpu as float32."
    assert info.help.endswith(info.state.message)
    said = [entry.text for entry in ws.debug.entries()]
    assert any(text.startswith("tiny: 5 MB on cpu as float32, loaded in") for text in said)
    assert ws.doctor().problems == []


@needs_torch
async def test_the_events_of_a_picture(provider):
    events = await events_of(provider, asked(steps=5, n=2))
    assert [one.text for one in events[:1] if isinstance(one, Log)] == ["loading tiny"]
    for index in (0, 1):
        steps = [one.step for one in events if isinstance(one, Running) and one.index == index]
        assert steps == [0, 1, 2, 3, 4, 5]
    assert [one.index for one in events if isinstance(one, ImageReady)] == [0, 1]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.cost is None
    assert done.usage["pipeline"] == "StableDiffusionPipeline"
    assert (done.usage["device"], done.usage["dtype"]) == ("cpu", "float32")
    assert done.usage["torch"].startswith("2.")


@needs_torch
async def test_the_same_seed_gives_the_same_bytes_and_another_one_others(provider):
    first = await picture_of(provider, asked(seed=7, steps=3))
    assert await picture_of(provider, asked(seed=7, steps=3)) == first
    assert await picture_of(provider, asked(seed=2**63 - 1, steps=3)) != first
    # Whoever else draws random numbers here is not disturbed, and does not disturb.
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert await picture_of(provider, asked(seed=7, steps=3)) == first
    assert torch.rand(1) == expected


@needs_torch
async def test_what_is_asked_for_changes_the_picture(provider):
    plain = await picture_of(provider, asked(steps=3))
    assert await picture_of(provider, asked(steps=3, negative="fog")) != plain
    assert await picture_of(provider, asked(steps=3, guidance_scale=1.0)) != plain
    assert await picture_of(provider, asked(steps=4)) != plain
    assert opened(await picture_of(provider, asked(steps=2, size=(96, 40)))).size == (96, 40)


@needs_torch
@pytest.mark.req("PRV-4")
async def test_previews_are_small_and_few(made, slow):
    provider = made(slow=slow)
    started = time.monotonic()
    events = await events_of(provider, asked("slow", steps=40, size=(96, 48)))
    took = time.monotonic() - started
    previews = [one for one in events if isinstance(one, Partial)]
    assert 1 <= len(previews) <= 1 + took / 0.5
    for one in previews:
        image = opened(one.data)
        assert image.format == "WEBP"
        assert image.size == (256, 128)
        assert len(one.data) < 256_000
    # None of the finished picture.
    places = [place for place, one in enumerate(events) if isinstance(one, Partial)]
    last = [place for place, one in enumerate(events) if isinstance(one, Running)][-1]
    assert max(places) < last


@needs_torch
async def test_an_autoencoder_without_an_encoder_gives_pictures_without_previews(made, copy):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(copy / "vae")
    vae.encoder.conv_in.weight.data.fill_(float("nan"))
    vae.save_pretrained(copy / "vae")
    provider = made(tiny=copy)
    events = await events_of(provider, asked(steps=6))
    assert [one for one in events if isinstance(one, Partial)] == []
    assert [one for one in events if isinstance(one, ImageReady)]
    assert "No previews of tiny" in "".join(one.text for one in events if isinstance(one, Log))


@needs_torch
@pytest.mark.req("PRV-8")
async def test_an_image_to_begin_with_keeps_its_shape_unless_a_size_is_chosen(provider):
    begin = png("a hat", width=300, height=200)
    given = (source_of(begin),)
    same = await picture_of(provider, asked(steps=4, strength=0.5, inputs=given))
    assert opened(same).size == (80, 56)
    usual = await picture_of(provider, asked(steps=4, strength=0.5, inputs=given, size=(64, 64)))
    assert usual == same
    chosen = asked(steps=4, strength=0.5, inputs=given, size=(128, 64))
    assert opened(await picture_of(provider, chosen)).size == (128, 64)
    with pytest.raises(ProviderError, match="cannot be read"):
        await picture_of(provider, asked(steps=4, inputs=(source_of(b"nothing"),)))
    reference = (source_of(begin, "reference"),)
    assert await picture_of(provider, asked(steps=4, strength=0.5, inputs=reference)) == same


@needs_torch
@pytest.mark.req("PRV-8")
def test_image_to_image_through_the_workspace(ws, tiny):
    ws.add_provider(Diffusers(models={"tiny": tiny}, device="cpu"))
    source = png("a hat", width=64, height=64)
    batch = ws.generate(
        "a hat", model="diffusers:tiny", source=source, steps=10, strength=0.5, seed=1
    ).wait(40)
    (made,) = batch.generations
    assert made.status == "completed", made.error
    assert made.operation == "edit"
    assert made.record.total_steps == 5
    # Where a part of the steps would be none, there is one.
    for strength, steps, made_steps in ((0.05, 4, 1), (0.3, 1, 1), (1.0, 4, 4)):
        batch = ws.generate(
            "a hat", model="diffusers:tiny", source=source, steps=steps, strength=strength
        ).wait(40)
        (made,) = batch.generations
        assert (made.status, made.record.total_steps) == ("completed", made_steps), made.error


@needs_torch
@pytest.mark.req("PRV-3")
class TestContract(ProviderContract):
    """The suite that every provider passes."""

    deterministic = True
    every_value = False  # pictures of 4096 pixels among them

    @pytest.fixture(autouse=True)
    def _pipelines(self, tiny):
        self.folder = tiny

    def make_provider(self):
        return Diffusers(models={"tiny": self.folder}, device="cpu")


# -- stopping -------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.req("PRV-6")
async def test_whoever_stops_listening_stops_the_work_within_a_step(made, slow):
    provider = made(slow=slow)
    await events_of(provider, asked("slow", steps=1, size=(128, 128)))
    stream = provider.events(asked("slow", steps=200, size=(128, 128)), JobRef())
    steps = []
    async for event in stream:
        if isinstance(event, Running):
            steps.append(time.monotonic())
        if len(steps) == 4:
            break
    step_s = max(after - before for before, after in itertools.pairwise(steps))
    await stream.aclose()
    assert await asyncio.to_thread(free_within, provider, 3 * step_s + 0.3)
    # The pipeline is back: the next one paints at once, and as ever.
    assert provider.state().message.startswith("In memory: slow")
    first = await picture_of(provider, asked("slow", steps=2))
    assert await picture_of(provider, asked("slow", steps=2)) == first


@needs_torch
@pytest.mark.req("PRV-6")
def test_a_cancel_in_the_workspace_frees_the_thread_for_the_next(ws, slow):
    provider = Diffusers(models={"slow": slow}, device="cpu")
    ws.add_provider(provider)
    long = ws.generate("a fox", model="diffusers:slow", steps=200, width=128, height=128)
    next_one = ws.generate("an owl", model="diffusers:slow", steps=2)
    (generation,) = long.generations
    until = time.monotonic() + 40
    while not generation.record.step and time.monotonic() < until:
        time.sleep(0.01)
    long.cancel()
    started = time.monotonic()
    assert next_one.wait(40).status == "completed"
    assert time.monotonic() - started < 5
    assert generation.status == "cancelled"
    assert generation.record.step < 200


@needs_torch
def test_closing_the_workspace_in_mid_picture_hands_it_over(workspace_home, slow):
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
        batch = ws.generate("a fox", model="diffusers:slow", steps=12, width=128, height=128)
        (generation,) = batch.generations
        until = time.monotonic() + 40
        while not generation.record.step and time.monotonic() < until:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 4
    assert not [one for one in threading.enumerate() if one.name == "workbench-diffusers"]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
        assert ws.batch(batch.id).wait(40).status == "completed"


EXIT = """
    import os, sys, time
    import workbench as wb
    from workbench.providers.local_diffusers import Diffusers

    how, folder = sys.argv[1:]
    ws = wb.open("ws", user="ada")
    ws.add_provider(Diffusers(models={"slow": folder}, device="cpu"))
    side = 1024 if how == "long" else 128
    batch = ws.generate("a fox", model="diffusers:slow", steps=200, width=side, height=side)
    while not batch.generations[0].record.total_steps:
        time.sleep(0.02)
    time.sleep(0.3)
    if how == "fork":
        child = os.fork()
        if child == 0:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        ws.close()
    print(time.time(), flush=True)
    """


@needs_torch
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["short", "long", "fork"])
def test_a_program_that_ends_in_mid_picture_ends(tmp_path, slow, how):
    """Also where a step takes longer than anybody waits, and with a code that says it is well."""
    said = float(run(EXIT, tmp_path, how, slow))
    assert time.time() - said < 10


# -- one at a time --------------------------------------------------------------------------------


@needs_torch
async def test_another_pipeline_takes_the_place_of_the_first(made, tiny, slow):
    provider = made(tiny=tiny, slow=slow)
    await picture_of(provider, asked(steps=1))
    unet = weakref.ref(provider._painter._loaded.pipeline.unet)
    assert "tiny" in provider.state().message
    events = await events_of(provider, asked("slow", steps=1, inputs=(source_of(png("x")),)))
    assert next(one.text for one in events if isinstance(one, Log)) == "loading slow"
    assert unet() is None
    assert "slow" in provider.state().message
    await provider.close()
    assert provider.state().message == ""


@needs_torch
async def test_a_folder_that_was_saved_anew_is_loaded_anew(made, copy, slow):
    provider = made(mine=copy)
    before = await picture_of(provider, asked("mine", steps=2))
    shutil.rmtree(copy)
    shutil.copytree(slow, copy)
    os.utime(copy / "unet" / "config.json")
    assert await picture_of(provider, asked("mine", steps=2)) != before


@needs_torch
async def test_other_numbers_load_it_anew(made, tiny, monkeypatch):
    provider = made(None, tiny=tiny)
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DEVICE", "cpu")
    await picture_of(provider, asked(steps=1))
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DTYPE", "bfloat16")
    done = (await events_of(provider, asked(steps=1)))[-1]
    assert done.usage["dtype"] == "bfloat16"
    assert "2 MB on cpu as bfloat16" in provider.state().message


@needs_torch
async def test_it_tells_what_it_would_run_on(provider):
    assert "would run on cpu; 1 of 1 pipelines are on this machine." in await provider.test()


@needs_torch
@pytest.mark.skipif(os.environ.get("CUDA_VISIBLE_DEVICES", "") != "", reason="has a GPU")
async def test_a_device_that_is_not_there_is_a_sentence(made, tiny):
    provider = made("cuda:97", tiny=tiny)
    with pytest.raises(ProviderError, match="no device cuda:97 here") as caught:
        await events_of(provider, asked(steps=1))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


@needs_torch
def test_the_loop_never_waits_for_it(ws, slow):
    """Imports and heavy steps run elsewhere: the engine's loop answers all the while."""
    ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
    batch = ws.generate("a fox", model="diffusers:slow", steps=10, width=128, height=128)
    gaps = []
    while not batch.status.is_terminal:
        started = time.monotonic()
        ws._engine.loop.submit(asyncio.sleep(0)).result(10)
        gaps.append(time.monotonic() - started)
        time.sleep(0.005)
    gaps.sort()
    assert batch.status == "completed"
    assert gaps[len(gaps) * 95 // 100] < 0.1
    assert gaps[-1] < 1.0


# -- what goes wrong ------------------------------------------------------------------------------


def without_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def index_is_no_json(folder: Path) -> None:
    (folder / "model_index.json").write_text("{nope")


def index_is_a_list(folder: Path) -> None:
    (folder / "model_index.json").write_text("[]")


def changed(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def class_that_is_none(folder: Path) -> None:
    changed(folder, _class_name="NoSuchPipeline")


def own_pipeline(folder: Path) -> None:
    changed(folder, _class_name=["evil", "EvilPipeline"])
    (folder / "evil.py").write_text("open('ran', 'w')")


def own_part(folder: Path) -> None:
    changed(folder, unet=["evil", "UNet2DConditionModel"])
    (folder / "unet" / "evil.py").write_text("open('ran', 'w')")


def without_weights(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def cut_weights_of_text(folder: Path) -> None:
    path = folder / "text_encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def another_shape(folder: Path) -> None:
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "block_out_channels": [64, 64]}))


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"x")


@needs_torch
@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_index, "no model_index.json"),
        (index_is_no_json, "cannot be loaded: .*not a valid JSON"),
        (index_is_a_list, "cannot be loaded"),
        (class_that_is_none, "cannot be loaded: .*NoSuchPipeline"),
        (own_pipeline, "code of its own, which is not run"),
        (own_part, "code of its own, which is not run"),
        (without_weights, "lacks weights as .safetensors"),
        (pickled_weights, "lacks weights as .safetensors"),
        (cut_weights, "cannot be loaded"),
        (cut_weights_of_text, "cannot be loaded"),
        (another_shape, "cannot be loaded"),
        (gone, "There is no folder"),
        (a_file, "is one file"),
    ],
)
async def test_a_broken_folder_is_a_sentence_and_runs_nothing(
    made, copy, tiny, tmp_path, monkeypatch, spoil, words
):
    monkeypatch.chdir(tmp_path)
    spoil(copy)
    provider = made(mine=copy, tiny=tiny)
    with pytest.raises(ProviderError, match=words) as caught:
        await events_of(provider, asked("mine", steps=1))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert str(copy) in caught.value.message
    assert not (tmp_path / "ran").exists()
    assert await picture_of(provider, asked(steps=1))


@needs_torch
@pytest.mark.req("PRV-7")
def test_a_safety_checker_that_blacks_a_picture_out_means_blocked(ws, copy):
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 4}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(
            vision_config={**small, "image_size": 32, "patch_size": 16},
            text_config=small,
            projection_dim=16,
        )
    )
    checker.concept_embeds_weights.data.fill_(-2.0)  # everything is more alike than that
    checker.special_care_embeds_weights.data.fill_(2.0)
    pipeline = StableDiffusionPipeline.from_pretrained(copy, dtype=torch.float32)
    pipeline.register_modules(
        safety_checker=checker,
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    )
    pipeline.save_pretrained(copy)
    ws.add_provider(Diffusers(models={"strict": copy}, device="cpu"))
    (made,) = ws.generate("a fox", model="diffusers:strict", steps=2).wait(40).generations
    assert made.error is not None
    assert made.error.kind == "blocked"
    assert "safety checker of strict" in made.error.message


@needs_torch
@pytest.mark.req("PRV-7")
async def test_numbers_that_overflow_are_no_picture(made, copy, tiny):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(copy / "vae")
    vae.decoder.conv_out.bias.data.fill_(float("nan"))
    vae.save_pretrained(copy / "vae")
    provider = made(mine=copy)
    with pytest.raises(ProviderError, match="numbers overflowed") as caught:
        await events_of(provider, asked("mine", steps=1))
    assert caught.value.kind is ErrorKind.BAD_IMAGE


OUT_OF_MEMORY = """
    import asyncio, resource, sys
    from workbench.domain.jobs import ImageReady, JobRef, JobRequest, Slot
    from workbench.domain.status import Operation
    from workbench.errors import ProviderError
    from workbench.providers.local_diffusers import Diffusers

    def asked(side):
        return JobRequest("k", "tiny", Operation.GENERATE, "a fox", None, side, side,
                          {"steps": 1}, (Slot("g", 0, 1),))

    async def main():
        provider = Diffusers(models={"tiny": sys.argv[1]}, device="cpu")
        first = [one async for one in provider.events(asked(64), JobRef())]
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
        try:
            async for _ in provider.events(asked(2048), JobRef()):
                pass
        except ProviderError as error:
            told = f"{error.kind.value}: {error.message}"
        again = [one async for one in provider.events(asked(64), JobRef())]
        pictures = [one.data for one in first + again if isinstance(one, ImageReady)]
        assert len(pictures) == 2 and pictures[0] == pictures[1]
        await provider.close()
        print(told)

    asyncio.run(main())
    """


@needs_torch
@pytest.mark.timeout(180)
@pytest.mark.req("PRV-7")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_memory_that_runs_out_is_a_sentence_and_the_next_picture_is_made(tmp_path, tiny):
    told = run(OUT_OF_MEMORY, tmp_path, tiny)
    assert told == (
        "bad_request: There is not enough memory on cpu for a picture of this size with tiny. "
        "Choose a smaller one."
    )


# -- the Hub --------------------------------------------------------------------------------------

HUB = """
    import asyncio, hashlib, http.server, json, os, sys, threading
    from pathlib import Path

    folder, commit = Path(sys.argv[1]), "c0ffee" + 34 * "0"
    files = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*")
             if one.is_file()}
    stopped, told = threading.Event(), []

    class Hub(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_): ...

        def do_HEAD(self): self.do_GET()

        def do_GET(self):
            told.append(self.path)
            path = self.path.partition("?")[0]
            if stopped.is_set():
                self.answer(503)
            elif path.startswith("/ada/tiny/resolve/"):
                content = files.get(path.split("/", 5)[5])
                if content is None:
                    self.answer(404, **{"X-Error-Code": "EntryNotFound"})
                else:
                    tag = f'"{hashlib.sha1(content).hexdigest()}"'
                    self.answer(200, content, **{"ETag": tag, "X-Repo-Commit": commit})
            elif path.startswith("/api/models/ada/tiny"):
                if "/tree/" in path:
                    value = [{"type": "file", "path": name, "size": len(content), "oid": 40 * "0"}
                             for name, content in files.items()]
                else:
                    value = {"id": "ada/tiny", "sha": commit, "private": False,
                             "siblings": [{"rfilename": name} for name in files]}
                self.answer(200, json.dumps(value).encode())
            elif "gated" in path:
                self.answer(403, **{"X-Error-Code": "GatedRepo"})
            else:
                self.answer(401, **{"X-Error-Code": "RepoNotFound"})

        def answer(self, status, content=b"", **headers):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["HF_HOME"] = str(Path("hub").absolute())

    from workbench.domain.jobs import Done, Log, JobRef, JobRequest, Slot
    from workbench.domain.status import Operation
    from workbench.errors import ProviderError
    from workbench.providers.local_diffusers import Diffusers

    async def ends(provider, model):
        request = JobRequest("k", model, Operation.GENERATE, "a fox", None, None, None,
                             {"steps": 1}, (Slot("g", 0, 1),))
        try:
            return [one async for one in provider.events(request, JobRef())]
        except ProviderError as error:
            return f"{error.kind.value}: {error.message}"

    async def main():
        names = {"t": "ada/tiny", "g": "ada/gated", "n": "ada/nothing", "u": "ada/unknown"}
        provider = Diffusers(models=names, device="cpu")
        seen = {name: await ends(provider, name) for name in "gn"}
        events = await ends(provider, "t")
        seen["first"] = events[0].text
        seen["revision"] = events[-1].usage["revision"] == commit
        seen["size"] = provider.models()[0].parameters["width"].default
        await provider.close()
        stopped.set()
        server.shutdown()
        server.server_close()
        provider = Diffusers(models=names, device="cpu")
        events = await ends(provider, "t")
        seen["without network"] = isinstance(events[-1], Done) and events[0].text
        await provider.close()
        asks, os.environ["HF_HUB_OFFLINE"] = len(told), "1"
        provider = Diffusers(models=names, device="cpu")
        seen["offline"] = isinstance((await ends(provider, "t"))[-1], Done) and asks == len(told)
        seen["u offline"] = await ends(provider, "u")
        await provider.close()
        print(json.dumps(seen))

    asyncio.run(main())
    """


@needs_torch
@pytest.mark.timeout(180)
@pytest.mark.req("PRV-2", "PRV-7")
def test_pipelines_of_the_hub_are_fetched_once_and_then_used_without_it(tmp_path, tiny):
    """The Hub's own client, against a server of ours that answers as the Hub does."""
    seen = json.loads(run(HUB, tmp_path, tiny))
    assert "accepts its terms" in seen["g"]
    assert "has no pipeline ada/nothing" in seen["n"]
    assert seen["first"] == "downloading and loading t"
    assert seen["revision"]
    assert seen["size"] == 64
    assert seen["without network"] == "loading t"
    assert seen["offline"]
    assert seen["u offline"].startswith("unavailable: ada/unknown is not (wholly) on this machine")


# -- other pipelines ------------------------------------------------------------------------------


def parts() -> dict:
    """Small parts that several kinds of pipelines are made of."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, FlowMatchEulerDiscreteScheduler
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        T5Config,
        T5EncoderModel,
        T5Tokenizer,
    )

    from workbench.testing import tiny_pipeline

    torch.manual_seed(0)
    count = len(tiny_pipeline._vocabulary())
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(chr(code), -3.0) for code in range(33, 127)]
    return {
        "clip": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=count,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=1,
                num_attention_heads=4,
                bos_token_id=count - 2,
                eos_token_id=count - 1,
                pad_token_id=count - 1,
            )
        ),
        "tokenizer": tiny_pipeline._tokenizer(),
        "t5": T5EncoderModel(
            T5Config(vocab_size=98, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4)
        ),
        "t5_tokenizer": T5Tokenizer(vocab=pieces, extra_ids=0),
        "vae": AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(32, 32),
            latent_channels=4,
            norm_num_groups=8,
            shift_factor=0.1,
        ),
        "ddim": DDIMScheduler(),
        "flow": FlowMatchEulerDiscreteScheduler(),
    }


@needs_torch
async def test_a_transformer_on_packed_latents_is_followed_and_shown_too(made, tmp_path):
    from diffusers import FluxPipeline, FluxTransformer2DModel

    have = parts()
    FluxPipeline(
        scheduler=have["flow"],
        vae=have["vae"],
        text_encoder=have["clip"],
        tokenizer=have["tokenizer"],
        text_encoder_2=have["t5"],
        tokenizer_2=have["t5_tokenizer"],
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
        ),
    ).save_pretrained(tmp_path / "flux")
    provider = made(flux=tmp_path / "flux")
    events = await events_of(provider, asked("flux", steps=3, size=(96, 64), negative="fog"))
    assert [one.step for one in events if isinstance(one, Running)] == [0, 1, 2, 3]
    (preview,) = [one for one in events if isinstance(one, Partial)]
    assert opened(preview.data).size == (256, 171)
    (image,) = [one for one in events if isinstance(one, ImageReady)]
    assert opened(image.data).size == (96, 64)
    given = (source_of(png("x", width=96, height=64)),)
    edit = asked("flux", steps=4, strength=0.5, size=(64, 64), inputs=given)
    assert opened(await picture_of(provider, edit)).size == (64, 64)


@needs_torch
@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_pipeline_without_the_callback_is_followed_and_stopped_by_its_bar(made, tmp_path):
    from diffusers import PixArtAlphaPipeline, PixArtTransformer2DModel

    have = parts()
    PixArtAlphaPipeline(
        tokenizer=have["t5_tokenizer"],
        text_encoder=have["t5"],
        vae=have["vae"],
        scheduler=have["ddim"],
        transformer=PixArtTransformer2DModel(
            sample_size=32,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_channels=32,
            in_channels=4,
            out_channels=8,
            cross_attention_dim=32,
            use_additional_conditions=False,
        ),
    ).save_pretrained(tmp_path / "pixart")
    provider = made(pixart=tmp_path / "pixart")
    events = await events_of(provider, asked("pixart", steps=3, size=(64, 64)))
    assert [one.step for one in events if isinstance(one, Running)] == [0, 1, 2, 3]
    given = (source_of(png("x")),)
    with pytest.raises(ProviderError, match="does not take an image to begin with") as caught:
        await events_of(provider, asked("pixart", steps=3, inputs=given))
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    stream = provider.events(asked("pixart", steps=200, size=(64, 64)), JobRef())
    async for event in stream:
        if isinstance(event, Running) and event.step == 3:
            break
    await stream.aclose()
    assert await asyncio.to_thread(free_within, provider, 2.0)
    await provider.close()
