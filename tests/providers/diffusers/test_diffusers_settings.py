"""Diffusers in process. Above: what holds without torch. Below: the real libraries, no fakes.

The lower part runs where torch, diffusers and transformers are installed (`make test-diffusers`),
with tiny pipelines that are made on the spot.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.providers.diffusers.world import (
    asked,
    run,
)
from workbench.domain.jobs import (
    JobRef,
)
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError, ErrorKind, InvalidRequest, ProviderError
from workbench.ports import Provider
from workbench.providers import local_diffusers
from workbench.providers.diffusers_failures import of_loading, of_painting
from workbench.providers.diffusers_sources import Source, sources_in, sources_of, traits_of
from workbench.providers.local_diffusers import PIP, Diffusers

# -- which pipelines -------------------------------------------------------------------------------


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


# -- without the libraries -------------------------------------------------------------------------


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


# -- forms -----------------------------------------------------------------------------------------


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


# -- errors in words -------------------------------------------------------------------------------


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
