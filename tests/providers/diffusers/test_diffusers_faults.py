"""Diffusers in process. Above: what holds without torch. Below: the real libraries, no fakes.

The lower part runs where torch, diffusers and transformers are installed (`make test-diffusers`),
with tiny pipelines that are made on the spot.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.providers.diffusers.world import (
    asked,
    events_of,
    free_within,
    gone,
    needs_torch,
    opened,
    picture_of,
    run,
    source_of,
)
from workbench.domain.jobs import (
    ImageReady,
    JobRef,
    Partial,
    Running,
)
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.local_diffusers import Diffusers
from workbench.testing.pictures import png

# -- what goes wrong -------------------------------------------------------------------------------


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
@pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="Linux only: the test limits the memory of a process.",
)
def test_memory_that_runs_out_is_a_sentence_and_the_next_picture_is_made(tmp_path, tiny):
    told = run(OUT_OF_MEMORY, tmp_path, tiny)
    assert told == (
        "bad_request: There is not enough memory on cpu for a picture of this size with tiny. "
        "Choose a smaller one."
    )


# -- the Hub ---------------------------------------------------------------------------------------


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


# -- other pipelines -------------------------------------------------------------------------------


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
