"""What a batch offers, pressed for real: what the page shows, the files and the store agree."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Download, Locator, expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import eventually

PROMPT = 'a boat, the "Swan", at anchor'
PARAMS = {"steps": 6, "style": "watercolour", "palette": 0.2, "fail": [1]}
BEFORE = {"width": "256", "height": "256", "count": "4", "seed": "", "param-steps": "20"}
REUSED = {"width": "128", "height": "192", "count": "3", "seed": "7", "param-steps": "6"}
SETTINGS = (
    "[bench.config.width, bench.config.height, bench.config.n, bench.config.seed,"
    " bench.config.steps, bench.config.style, bench.prompt]"
)

MADE = f"""
topic = ws.create_topic("Boats")
made = ws.generate(
    {PROMPT!r}, n=3, width=128, height=192, seed=7, params={PARAMS}, topic=topic
).wait(60)
wb.Workbench(ws).config.update(width=256, height=256)
"""
PATIENCE = 30_000  # ms; pictures are painted on cores that others use as well

# More images than any machine paints at once, each so slow that the others wait until one of these
# is cancelled.
QUEUED = """
topic = ws.create_topic("Harbour")
params = {"steps": 60, "delay_ms": 800}
slow = ws.generate("a long voyage", n=12, width=64, height=64, params=params, topic=topic)
late = ws.generate("a small boat", n=2, width=64, height=64, params={"steps": 1}, topic=topic)
bench.topic = topic
"""

AGAIN = """
harbour = ws.generate("a longer voyage", n=3, width=64, height=64, params=params, topic=topic)
elsewhere = ws.create_topic("Market")
market = ws.generate("a stall", n=2, width=64, height=64, params=params, topic=elsewhere)
"""


@pytest.mark.req("FEED-1", "FEED-6", "FEED-7", "LBX-2")
def test_a_batch_gives_its_files_its_code_and_its_settings_and_makes_up_for_what_failed(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    bench = Bench.start(lab, MADE)
    bench.py("bench.topic = topic")
    id = str(bench.value("made.id"))
    expect(bench.in_batch(id, "completed")).to_have_count(2)
    expect(bench.in_batch(id, "failed")).to_have_count(1)
    first, failed, third = bench.ids()

    # A batch that is not whole gives what is there, and says what is missing.
    with lab.page.expect_download() as arriving:
        bench.batch(id).get_by_test_id("download-zip").click()
    missing = _check_zip(bench, arriving.value, [first, third])
    assert missing == [{"index": 1, "status": "failed"}]

    bench.choose(bench.batch(id).get_by_test_id("batch-menu"))
    entry = bench.page.locator(".wbx-drop [data-testid=retry-failed]")
    expect(entry).to_contain_text("Retry failed (1)")
    entry.click()
    expect(bench.in_batch(id, "completed")).to_have_count(3, timeout=PATIENCE)
    again = bench.ids()[1]
    assert bench.ids() == [first, again, third], "its siblings are the same ones, in their places"
    assert bench.value("[one.id for one in made.generations]") == [first, again, third]
    assert bench.value(f"ws.generation({again!r}).retry_of") == failed
    assert bench.value("len(made.all_generations())") == 4
    with lab.page.expect_download() as arriving:
        bench.batch_menu(id, "download-zip-menu")
    assert _check_zip(bench, arriving.value, [first, again, third]) == []

    _check_python(bench, id)
    _check_reuse(bench, id)

    bench.card(third).get_by_test_id("thumb").click()
    box = bench.anywhere("lightbox")
    expect(box).to_have_attribute("data-id", third)
    with lab.page.expect_download() as arriving:
        box.get_by_test_id("download").click()
    data = arriving.value.path().read_bytes()
    assert data == _saved(bench, third), "the file that Python saves"
    assert _pixels(data) == _pixels(_original(bench, third))
    bench.page.keyboard.press("Escape")
    _check_that_a_menu_stays_until_one_scrolls(bench)


def _check_zip(bench: Bench, download: Download, wanted: list[str]) -> Any:
    """Compare every picture with the store; returns what the ZIP says is missing."""
    with zipfile.ZipFile(download.path()) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["prompt"] == PROMPT
        assert [image["generation_id"] for image in manifest["images"]] == wanted
        files = [image["file"] for image in manifest["images"]]
        assert sorted(archive.namelist()) == sorted([*files, "manifest.json"])
        for image in manifest["images"]:
            id = image["generation_id"]
            data = archive.read(image["file"])
            assert _pixels(data) == _pixels(_original(bench, id))
            assert data == _saved(bench, id), "the file that Python saves"
            assert image["seed"] == bench.value(f"ws.generation({id!r}).seed")
    return manifest["missing"]


def _check_python(bench: Bench, id: str) -> None:
    """The code names all that the request had, and makes the same pictures again."""
    bench.batch_menu(id, "copy-python")
    expect(bench.toast("Copied as Python")).to_be_visible()
    code = str(bench.page.evaluate("navigator.clipboard.readText()"))
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (call,) = (node for node in calls if ast.unparse(node.func) == "ws.generate")
    assert [ast.literal_eval(one) for one in call.args] == [PROMPT]
    assert {str(one.arg): ast.literal_eval(one.value) for one in call.keywords} == {
        "model": "builtin:sketch",
        "n": 3,
        "seed": 7,
        "width": 128,
        "height": 192,
        "params": PARAMS,
    }
    bench.py(f"{code}\nbatch.wait(60)")
    # `fail` is a parameter like any other: the second one fails once more.
    same = "[one.record.asset_id for one in {}.generations if one.index != 1]"
    assert bench.value(same.format("batch")) == bench.value(same.format("made"))


def _check_reuse(bench: Bench, id: str) -> None:
    """What will change is said first; one press changes it, and one press takes it back."""
    _expect_settings(bench, BEFORE)
    bench.choose(bench.batch(id).get_by_test_id("batch-menu"))
    hint = bench.page.locator(".wbx-drop [data-testid=reuse-settings-menu] small")
    changes = "256 × 256 → 128 × 192", "Images 4 → 3", "Seed random → 7", "Steps 20 → 6"
    for change in changes:
        expect(hint).to_contain_text(change)
    bench.page.keyboard.press("Escape")
    _expect_settings(bench, BEFORE)

    bench.batch(id).get_by_test_id("reuse-settings").click()
    _expect_settings(bench, REUSED)
    expect(bench.find("prompt")).to_have_value(PROMPT)
    done = bench.toast("Settings reused")
    done.hover()  # it stays while somebody is there
    bench.expect_value(SETTINGS, [128, 192, 3, 7, 6, "watercolour", PROMPT])
    for change in changes:
        expect(done).to_contain_text(change)
    bench.choose(bench.batch(id).get_by_test_id("batch-menu"))
    expect(hint).to_have_text("Already set like this")
    bench.page.keyboard.press("Escape")

    done.get_by_test_id("undo").click()
    _expect_settings(bench, BEFORE)
    expect(bench.find("prompt")).to_have_value("")
    bench.expect_value(SETTINGS, [256, 256, 4, None, 20, "painterly", ""])

    # What somebody is writing is not overwritten.
    bench.find("prompt").fill("half a sentence")
    bench.batch_menu(id, "reuse-settings-menu")
    _expect_settings(bench, REUSED)
    expect(bench.find("prompt")).to_have_value("half a sentence")


def _check_that_a_menu_stays_until_one_scrolls(bench: Bench) -> None:
    bench.choose(bench.find("batch-menu").first)
    menu = bench.page.locator(".wbx-drop")
    menu.evaluate("menu => Promise.all(menu.getAnimations().map(one => one.finished))")
    place = menu.bounding_box()
    # Pictures arrive, and a theme or another cell moves the page: nobody did that on purpose.
    bench.py("ws.generate('a buoy', n=2, width=64, height=64, topic=topic).wait(60)")
    feed = bench.find("feed")
    expect(feed.get_by_text("a buoy")).to_be_attached()
    feed.evaluate(
        """async feed => {
          feed.scrollTop += 40;
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        }"""
    )
    expect(menu).to_be_visible()
    assert menu.bounding_box() == place, "it moved away from under the pointer"
    feed.hover(position={"x": 5, "y": 5}, force=True)
    bench.page.mouse.wheel(0, 40)
    expect(menu).to_have_count(0)


def _expect_settings(bench: Bench, fields: dict[str, str]) -> None:
    for testid, value in fields.items():
        expect(bench.find(testid)).to_have_value(value)


@pytest.mark.req("FEED-2", "FEED-10", "FEED-10a")
def test_a_waiting_image_is_drawn_next_and_a_batch_is_taken_back(make_lab: MakeLab) -> None:
    bench = Bench.start(make_lab(viewport=WIDE))
    bench.py(QUEUED)
    slow, late = bench.value("[slow.id, late.id]")
    expect(bench.in_batch(late, "queued")).to_have_count(2)
    waits, chosen = bench.value("[one.id for one in late.generations]")
    expect(bench.card(chosen).locator(".wbx-badge-words")).to_have_text("In queue")
    _see_it_grow(bench, bench.batch(slow))

    bench.image_menu(chosen, "run-next")
    running = str(bench.in_batch(slow, "processing").first.get_attribute("data-id"))
    bench.card(running).hover()
    bench.card(running).get_by_test_id("cancel").click()
    expect(bench.card(running)).to_have_attribute("data-status", "cancelled", timeout=PATIENCE)
    expect(bench.card(chosen)).to_have_attribute("data-status", "completed", timeout=PATIENCE)
    started = bench.value(
        "{one.id: one.record.started_at for one in slow.generations + late.generations}"
    )
    drawn = started.pop(chosen)
    after = [id for id, at in started.items() if at is None or at >= drawn]
    assert len(after) > 3, "it was drawn when it was its turn anyway"
    assert waits in after, "its sibling was before it in the queue"
    assert bench.value("str(slow.counts['cancelled'])") == "1", "a neighbour was hit"

    bench.batch_menu(slow, "cancel-batch")
    for status in ("queued", "processing"):
        expect(bench.in_batch(slow, status)).to_have_count(0, timeout=PATIENCE)
    expect(bench.in_batch(slow, "cancelled")).not_to_have_count(0)
    # Only it: what else waits has its turn now, and what was finished stays.
    expect(bench.card(waits)).to_have_attribute("data-status", "completed", timeout=PATIENCE)
    bench.expect_value("late.counts['completed']", 2)
    counts = bench.value("slow.counts")
    assert counts["completed"] + counts["cancelled"] == 12, counts
    for status in ("completed", "cancelled"):
        expect(bench.in_batch(slow, status)).to_have_count(counts[status])

    _cancel_a_topic_and_then_everything(bench)
    assert bench.value("slow.counts") == counts, "what was finished stays"


def _cancel_a_topic_and_then_everything(bench: Bench) -> None:
    """Of a topic that this page never opened the menu knows how much runs there, too."""
    bench.py(AGAIN)
    ended = "[one.counts['cancelled'] for one in (harbour, market)]"
    expect(bench.topics()).to_have_count(2)
    bench.topic_menu("Harbour")
    _cancel_all(bench, "cancel-topic", "Cancel what is running (3)", "“Harbour”", "3 images")
    assert bench.value(ended) == [3, 0], "the other topic was hit"
    bench.topic_menu("Harbour")
    entry = bench.anywhere("cancel-topic")
    expect(entry).to_have_text("Cancel what is running (0)")
    expect(entry).to_have_attribute("aria-disabled", "true")
    bench.page.keyboard.press("Escape")
    bench.topic_menu("Market")
    expect(entry).to_have_text("Cancel what is running (2)")
    bench.page.keyboard.press("Escape")
    bench.choose(bench.find("topics-more"))
    everything = "Cancel everything that is running (2)"
    _cancel_all(bench, "cancel-everything", everything, "in all topics", "2 images")
    assert bench.value(ended) == [3, 2]
    assert bench.value("ws.cancel_all()") == 0, "something still ran"


def _cancel_all(bench: Bench, testid: str, label: str, where: str, count: str) -> None:
    entry = bench.anywhere(testid)
    expect(entry).to_have_text(label)
    entry.click()
    question = bench.anywhere("confirm")
    for words in (where, count, "cannot be undone", "may still be charged"):
        expect(question).to_contain_text(words)
    bench.anywhere("confirm-action").click()
    expect(bench.toast(f"{count} cancelled")).to_be_visible()


def _see_it_grow(bench: Bench, batch: Locator) -> None:
    """A running image shows how it looks so far, and its batch how long it still takes."""
    preview = batch.locator("[data-status=processing] .wbx-preview").first
    expect(preview).to_be_visible(timeout=PATIENCE)
    # Not `decode()`: that fails when the next preview takes its place meanwhile.
    eventually(lambda: preview.evaluate("image => image.naturalWidth"), lambda width: width > 0)
    left = batch.locator(".wbx-meta-left")
    expect(left).to_have_text(re.compile(r"^\d+–\d+ (s|min) left$"), timeout=PATIENCE)
    shortest, longest = (int(one) for one in re.findall(r"\d+", left.inner_text()))
    assert 0 < shortest < longest


# -- the store ------------------------------------------------------------------------------------


def _original(bench: Bench, id: str) -> bytes:
    return Path(bench.value(f"str(ws.generation({id!r}).path)")).read_bytes()


def _saved(bench: Bench, id: str) -> bytes:
    """What `Generation.save` writes: the original with its settings inside."""
    folder = bench.notebook.lab.folder / "saved"
    folder.mkdir(exist_ok=True)
    return Path(bench.value(f"str(ws.generation({id!r}).save({str(folder)!r}))")).read_bytes()


def _pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.size, image.tobytes()


# The lower batch ends first, as it usually does, while the upper one goes on. Both are too slow to
# end by themselves.
ONE_AFTER_THE_OTHER = """
topic = ws.create_topic("Meadow")
old = ws.generate("in the past", n=1, width=64, height=64, topic=topic).wait(60)
params = {"steps": 60, "delay_ms": 800}
first = ws.generate("first", n=2, width=64, height=64, params=params, topic=topic)
second = ws.generate("second", n=4, width=64, height=64, params=params, topic=topic)
bench = wb.Workbench(ws)
bench.topic = topic
"""

# Where the pictures of every batch lie, looked at in every frame; what has not changed is not said.
# Of a kernel that was silent for 2 s (a machine may pause) a line tells above the feed, meanwhile.
FOLLOW_PLACES = """root => {
  root.places = [];
  const top = () => root.getBoundingClientRect().top;
  const look = () => {
    requestAnimationFrame(look);
    if (root.querySelector('[data-testid=link-note]')) return;
    const now = JSON.stringify([...root.querySelectorAll('.wbx-batch')].map(batch => [
      batch.dataset.batch,
      Math.round(batch.querySelector('.wbx-grid').getBoundingClientRect().top - top()),
    ]));
    if (root.places.at(-1) !== now) root.places.push(now);
  };
  look();
}"""


@pytest.mark.req("FEED-3")
def test_nothing_moves_under_a_resting_pointer_when_a_batch_goes_to_history(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE)
    bench = Bench.start(lab, ONE_AFTER_THE_OTHER)
    first, second = (str(bench.value(f"{name}.id")) for name in ("first", "second"))
    for id in (first, second):
        expect(bench.batch(id)).to_have_attribute("data-section", "active")
    expect(bench.batch(str(bench.value("old.id")))).to_be_visible()
    bench.batch(first).get_by_test_id("generation").first.hover()
    bench.root.evaluate(FOLLOW_PLACES)
    bench.py("first.cancel()")
    expect(bench.batch(first)).to_have_attribute("data-section", "history", timeout=PATIENCE)
    expect(bench.batch(first).locator(".wbx-section")).to_have_text("History")
    assert bench.batch(second).get_attribute("data-section") == "active"
    places = bench.root.evaluate("root => root.places")
    assert len(places) == 1, places
