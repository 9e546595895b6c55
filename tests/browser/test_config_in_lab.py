"""The configuration panel, and what it says of models and providers."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab

# Beside the built-in model: one with other parameters and no seeds, one that lacks its key.
PROVIDERS = """
from dataclasses import replace
from workbench.domain.parameters import Parameter, ParameterKind
from workbench.ports import ProviderState
from workbench.testing.providers import FakeProvider

quick = FakeProvider("quick")
own = {
    "width": Parameter(ParameterKind.INTEGER, default=256, minimum=128, maximum=512, step=128),
    "height": Parameter(ParameterKind.INTEGER, default=256, minimum=128, maximum=512, step=128),
    "steps": Parameter(ParameterKind.INTEGER, default=4, minimum=1, maximum=60),
    "tiling": Parameter(ParameterKind.BOOLEAN, default=False, label="Tiling"),
    "sampler": Parameter(ParameterKind.CHOICE, default="euler", choices=("euler", "heun"),
                         label="Sampler", advanced=True),
    "probe": Parameter(ParameterKind.TEXT, label="Probe", hidden=True),
}
quick._model = replace(quick._model, title="Quick", parameters=own, max_images=4, seeds=False)
locked = FakeProvider("locked")
locked.available = ProviderState(False, "key_missing", "Set LOCKED_API_KEY to use it.")
ws.add_provider(quick)
ws.add_provider(locked)
"""
SIZE = "[bench.config.width, bench.config.height]"


@pytest.mark.req("CFG-2", "CFG-3", "CFG-4", "CFG-5", "CFG-8")
def test_size_count_and_seed_are_what_is_asked_for(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab)
    width, height, seed = bench.find("width"), bench.find("height"), bench.find("seed")
    for ratio, wanted in {"4:3": 4 / 3, "3:4": 3 / 4, "16:9": 16 / 9, "9:16": 9 / 16}.items():
        bench.find(f"ratio-{ratio}").click()
        expect(bench.find(f"ratio-{ratio}")).to_have_attribute("aria-pressed", "true")
        shown = int(width.input_value()) / int(height.input_value())
        assert shown == pytest.approx(wanted, rel=0.06), ratio
    bench.expect_value(SIZE, [int(width.input_value()), int(height.input_value())])

    # Unlocked one side leaves the other alone; locked it takes it with it, for Python, too.
    bench.find("ratio-1:1").click()
    bench.enter("width", "768")
    expect(height).to_have_value("512")
    bench.find("ratio-lock").click()
    bench.enter("height", "256")
    expect(width).to_have_value("384")
    bench.expect_value(SIZE, [384, 256])
    bench.py("bench.config.width = 192")
    expect(width).to_have_value("192")
    expect(height).to_have_value("128")

    # The usual four on the slider and more by hand; what cannot be is said, and not sent.
    bench.enter("count", "9")
    bench.expect_value("bench.config.n", 9)
    bench.find("count").fill("65")
    expect(bench.find("field-error")).to_be_visible()
    bench.enter("count", "2")
    expect(bench.find("field-error")).to_have_count(0)

    # A seed is kept to its last digit, and each image of a batch has the next one.
    bench.find("seed-dice").click()
    expect(seed).not_to_have_value("")
    bench.find("seed-clear").click()
    expect(seed).to_have_value("")
    bench.expect_value("bench.config.seed", None)
    bench.enter("seed", "9007199254740995")  # more than JavaScript's numbers can tell apart
    bench.enter("param-steps", "7")
    bench.find("param-style").select_option(index=1)
    bench.expect_value("str(bench.config.seed)", "9007199254740995")
    bench.enter("seed", "41")
    bench.expect_value("[bench.config.seed, bench.config.n, bench.config.steps]", [41, 2, 7])
    style = bench.value("ws.model('sketch').parameters['style'].choices[1]")
    assert bench.value("bench.config.style") == style
    bench.generate("as asked for")
    bench.expect_all_completed(2)
    made = "[[one.seed, one.asset.width, one.asset.height] for one in made.generations]"
    bench.py("made = bench.topic.batches().items[0]")
    assert bench.value(made) == [[41, 192, 128], [42, 192, 128]]
    assert bench.value("[made.record.params[name] for name in ('steps', 'style')]") == [7, style]


@pytest.mark.req("CFG-1", "CFG-2", "CFG-4", "CFG-5", "CFG-8", "LAY-11")
def test_another_model_keeps_what_fits_and_says_what_it_dropped(make_lab: MakeLab) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, PROVIDERS)
    models = bench.find("model-select")
    dropped = bench.find("dropped")

    # Who cannot be used is told with the providers; nobody shows what is for developers.
    groups = models.locator("optgroup").evaluate_all("all => all.map(one => one.label)")
    assert groups == ["Built in", "Quick"]
    bench.find("providers").click()
    locked = bench.page.locator("[data-testid=provider][data-name=locked]")
    locked.locator("summary").click()
    expect(locked.get_by_test_id("provider-message")).to_have_text("Set LOCKED_API_KEY to use it.")
    bench.page.keyboard.press("Escape")
    for name in ("fail", "delay_ms", "probe"):
        expect(bench.find(f"param-{name}")).to_have_count(0)

    bench.enter("count", "6")
    bench.enter("seed", "7")
    bench.enter("width", "384")
    bench.enter("param-steps", "9")
    models.select_option("quick:picture")
    expect(bench.find("width")).to_have_value("384")
    expect(bench.find("param-steps")).to_have_value("9")
    expect(bench.find("count")).to_have_value("4")
    expect(bench.find("seed")).to_have_count(0)
    expect(bench.find("param-style")).to_have_count(0)
    expect(dropped).to_contain_text("Quick")
    lab.shoot("config-dropped", bench.find("config"))
    expect(dropped).to_contain_text("Quick does not take Images, Seed: not kept.")
    bench.expect_value("[bench.config.model, bench.config.n]", ["quick:picture", 4])
    bench.expect_value("sorted(bench.config.dropped)", ["n", "seed"])

    # What is advanced is folded away; on a page for everybody it is not there at all.
    sampler = bench.find("param-sampler")
    expect(sampler).to_be_hidden()
    bench.root.locator("summary").click()
    sampler.select_option(label="Heun")
    bench.expect_value("bench.config.sampler", "heun")
    bench.py("bench.simple = True")
    expect(sampler).to_have_count(0)
    expect(bench.root.get_by_role("switch", name="Tiling")).to_be_visible()
    bench.py("bench.simple = False")

    # Python moves the panel to a model just so, and what it does not take is said there, too.
    bench.py("bench.config.model = 'sketch'")
    expect(models).to_have_value("builtin:sketch")
    expect(bench.find("param-style")).to_be_visible()
    expect(sampler).to_have_count(0)
    expect(dropped).to_contain_text("Sketch does not take over: sampler.")
