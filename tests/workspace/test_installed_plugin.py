"""A provider of somebody else, installed as a package of its own and found by its entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import workbench as wb
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.errors import ErrorKind, ProviderError
from workbench.ports import Provider, ProviderState
from workbench.testing.providers import FakeProvider

PLUGIN = '''
"""A provider as a third party would write it."""
import io

from PIL import Image

from workbench.domain.jobs import FREE, Done, ImageReady, JobRef, Running
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.errors import ErrorKind, ProviderError
from workbench.ports import ProviderState


class Tiles:
    name = "tiles"
    title = "Tiles"
    help = "One colour."
    idempotency = FREE
    concurrency = 2
    deadline_s = 30.0

    def state(self):
        return ProviderState(True)

    def models(self):
        return [
            Model(
                id="tiles:plain",
                provider="tiles",
                name="plain",
                title="Plain tile",
                help="A tile of one colour.",
                parameters={
                    "width": Parameter(ParameterKind.INTEGER, default=32, minimum=8, maximum=64),
                    "height": Parameter(ParameterKind.INTEGER, default=32, minimum=8, maximum=64),
                    "colour": Parameter(
                        ParameterKind.CHOICE, default="red", choices=("red", "teal"), label="Colour"
                    ),
                    "gloss": Parameter(
                        ParameterKind.NUMBER, default=0.5, minimum=0, maximum=1, advanced=True
                    ),
                    "caption": Parameter(ParameterKind.TEXT, maximum=10),
                    "framed": Parameter(ParameterKind.BOOLEAN, default=False),
                },
                max_images=2,
                max_references=2,
                seeds=False,
                aliases=("plain",),
            )
        ]

    async def submit(self, request):
        return JobRef()

    async def events(self, request, ref):
        for slot in request.slots:
            yield Running(1, 1, slot.index)
            if request.params.get("caption") == "blocked":
                raise ProviderError(ErrorKind.BLOCKED, "Captions like this are not allowed.")
            buffer = io.BytesIO()
            tile = Image.new("RGB", (request.width, request.height), request.params["colour"])
            tile.putpixel((0, 0), (len(request.inputs), int(100 * request.params["gloss"]), 0))
            tile.save(buffer, "PNG")
            yield ImageReady(buffer.getvalue(), slot.index)
        yield Done()

    async def cancel(self, ref):
        pass

    async def lookup(self, request):
        return None

    async def close(self):
        pass
'''

PROGRAM = """
import json, sys
import workbench as wb

with wb.open(sys.argv[1], user="ada") as ws:
    info = next(info for info in ws.providers() if info.name == "tiles")
    model = ws.model("plain")
    made = ws.generate("a tile", model="plain", n=2, colour="teal", gloss=1, width=16).wait(60)
    first = made.generations[0]
    like = ws.generate("like it", model="tiles:plain", references=[first, first]).wait(60)
    blocked = ws.generate("x", model="plain", caption="blocked").wait(60)
    refused = []
    for wrong in ({"colour": "blue"}, {"gloss": 2}, {"framed": 1}, {"caption": "x" * 11}, {"n": 3},
                  {"color": "red"}, {"seed": 7}, {"negative_prompt": "y"}, {"width": 4}):
        try:
            ws.generate("x", model="plain", **wrong)
        except wb.InvalidRequest as error:
            refused.append(error.field)
    print(json.dumps({
        "ready": info.state.ready,
        "models": info.models,
        "kinds": {name: p.kind for name, p in model.parameters.items()},
        "status": made.status,
        "pixel": first.image.getpixel((5, 5)),
        "size": first.image.size,
        "params": dict(first.record.params),
        "seeds": [g.seed for g in made.generations],
        "inputs": [[i.role, i.position] for i in like.generations[0].inputs],
        "saw": like.generations[0].image.getpixel((0, 0))[0],
        "error": [blocked.generations[0].error.kind, blocked.generations[0].error.message],
        "refused": refused,
        "frame": sorted(c for c in ws.frame().columns if c.startswith("param.")),
        "doctor": ws.doctor().problems,
    }))
"""


def _install(folder: Path) -> None:
    (folder / "tiles_plugin.py").write_text(PLUGIN)
    info = folder / "workbench_tiles-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: workbench-tiles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.providers]\ntiles = tiles_plugin:Tiles\n")


@pytest.mark.req("PRV-3", "PRV-8", "CFG-5")
def test_an_installed_plugin_is_found_and_used_with_its_own_parameters(workspace_home, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    _install(site)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(workspace_home / "ws")],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ready"]
    assert told["models"] == ["tiles:plain"]
    assert told["kinds"]["colour"] == "choice"
    assert (told["status"], told["size"], told["pixel"]) == ("completed", [16, 32], [0, 128, 128])
    assert told["params"] == {"colour": "teal", "gloss": 1, "framed": False}
    assert told["seeds"] == [None, None]
    assert told["inputs"] == [["reference", 0], ["reference", 1]]
    assert told["saw"] == 2
    assert told["error"] == ["blocked", "Captions like this are not allowed."]
    assert told["refused"] == [
        *("colour", "gloss", "framed", "caption", "n"),
        *("color", "seed", "negative_prompt", "width"),
    ]
    assert told["frame"] == [f"param.{name}" for name in ("caption", "colour", "framed", "gloss")]
    assert told["doctor"] == []


@pytest.mark.req("PRV-3")
def test_a_plugin_that_is_not_there_any_more_leaves_its_pictures(ws):
    provider = FakeProvider("gone")
    ws.add_provider(provider)
    batch = ws.generate("a fox", model="gone:picture").wait(60)
    ws.set_price("gone:picture", 3)
    ws.close()
    with wb.open(ws.path, user="ada") as again:
        picture = again.batch(batch.id).generations[0]
        assert picture.image.size
        assert len(again.frame(model="gone:picture")) == 1
        assert len(again.generations(provider="gone")) == 1
        with pytest.raises(wb.InvalidRequest, match="no model 'gone:picture'"):
            again.generate(**again.batch(batch.id).settings())


@pytest.mark.req("PRV-3")
def test_a_plugin_that_raises_wherever_it_can_hurts_nobody(ws):
    class Rude(FakeProvider):
        def state(self):
            raise OSError("no state")

        def models(self):
            raise ValueError("no models")

        async def close(self):
            raise RuntimeError("no end")

    class Liar(FakeProvider):
        def models(self):
            return [
                Model(
                    id="builtin:sketch",
                    provider="builtin",
                    name="sketch",
                    title="Not the painter",
                    help="",
                    parameters={"steps": Parameter(ParameterKind.INTEGER)},
                )
            ]

    ws.add_provider(Rude("rude"))
    ws.add_provider(Liar("liar"))
    names = ("builtin", "rude", "liar")
    assert [m.id for m in ws.models() if m.provider in names] == ["builtin:sketch"]
    states = {info.name: info.state for info in ws.providers() if info.name != "builtin"}
    assert {name: state.ready for name, state in states.items()}["rude"] is False
    warnings = " ".join(ws.doctor().warnings)
    assert "no models" in warnings
    assert "'liar'" in warnings
    batch = ws.generate("a fox", width=64, height=64, steps=1).wait(60)
    assert batch.status == "completed"
    for nonsense in (Rude("rude"), Rude("a:b"), Rude(""), Rude, "rude", FakeProvider("builtin")):
        with pytest.raises(wb.InvalidRequest):
            ws.add_provider(nonsense)
    ws.close()
    with wb.open(ws.path, user="ada", run_jobs=False) as again:
        assert "no end" in again.debug.entries(kind="plugin")[0].text


@pytest.mark.req("PRV-3", "CFG-1")
def test_a_provider_that_lacks_something_is_listed_and_refused_with_its_reason(ws):
    provider = FakeProvider("hosted")
    assert isinstance(provider, Provider)
    ws.add_provider(provider)
    provider.script = lambda request: [ProviderError(ErrorKind.AUTH, "The key was refused.")]
    failed = ws.generate("x", model="hosted:picture").wait(60).generations[0]
    assert (failed.error.kind, failed.error.charged) == ("auth", False)
    provider.available = ProviderState(False, "key_missing", "HOSTED_API_KEY is not set; set it.")
    (info,) = [info for info in ws.providers() if info.name == "hosted"]
    assert (info.state.code, info.models) == ("key_missing", ("hosted:picture",))
    for call in (lambda: ws.generate("x", model="hosted:picture"), failed.retry):
        with pytest.raises(wb.InvalidRequest, match="HOSTED_API_KEY is not set"):
            call()
    assert len(failed.batch.all_generations()) == 1


@pytest.mark.req("CFG-5")
def test_the_seed_that_is_stored_is_the_seed_that_was_sent(ws):
    provider = FakeProvider("seeing")
    ws.add_provider(provider)
    given = ws.generate("a fox", model="seeing:picture", n=3, seed=41).wait(60)
    fresh = ws.generate("a fox", model="seeing:picture", n=3).wait(60)
    sent = {
        slot.generation_id: slot.seed for request in provider.requests for slot in request.slots
    }
    for batch in (given, fresh):
        assert {g.id: g.seed for g in batch.generations} == {
            g.id: sent[g.id] for g in batch.generations
        }
    assert [g.seed for g in given.generations] == [41, 42, 43]
    assert len({g.seed for g in fresh.generations}) == 3
    assert given.record.seed == 41
    assert fresh.record.seed is None
    assert "seed=41" in given.to_python()
