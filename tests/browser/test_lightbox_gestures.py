"""The lightbox under hands: wheel, keys, mouse and fingers; and the pictures that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Locator, expect

from tests.browser.bench_page import WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.held_kernel import held
from tests.browser.lab_world import eventually

SIZE = (1200, 900)
COUNT = 24
MADE = f"""
from io import BytesIO
from PIL import Image
def picture(number):
    out = BytesIO()
    Image.new("RGB", {SIZE}, (number * 9, 255 - number * 9, number * 5)).save(out, "PNG")
    return out.getvalue()
topic = ws.create_topic("Colours")
shown = ws.import_images([picture(number) for number in range({COUNT})], topic=topic).generations
"""
# Notes the addresses of whole pictures (thumbnails are WebP, and are kept on purpose).
ADDRESSES = """
  const live = new Set();
  window.addresses = {made: 0, most: 0, live};
  const make = URL.createObjectURL, revoke = URL.revokeObjectURL;
  URL.createObjectURL = of => {
    const address = make.call(URL, of);
    if (of.type === "image/png") {
      live.add(address);
      window.addresses.made += 1;
      window.addresses.most = Math.max(window.addresses.most, live.size);
    }
    return address;
  };
  URL.revokeObjectURL = address => { live.delete(address); revoke.call(URL, address); };
"""
# Once what was done shows: as it is meant to lie, and as it lies (it glides there).
PLACE = """
async picture => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const wanted = new DOMMatrix(picture.style.transform);
  const now = new DOMMatrix(getComputedStyle(picture).transform);
  const rests = ["a", "e", "f"].every(name => Math.abs(wanted[name] - now[name]) < 0.001);
  return {scale: now.a, x: now.e, y: now.f, rests, box: picture.getBoundingClientRect().toJSON(),
          stage: picture.parentElement.getBoundingClientRect().toJSON()};
}
"""
HELD = 4  # the picture in view, its two neighbours, and the one after the next


@dataclass
class Viewer:
    """The open lightbox."""

    bench: Bench
    ids: Sequence[str]

    @property
    def box(self) -> Locator:
        return self.bench.anywhere("lightbox")

    def open(self, at: int) -> None:
        self.bench.card(self.ids[at]).get_by_test_id("thumb").click()
        self.expect_shown(at)

    def press(self, key: str) -> None:
        self.bench.page.keyboard.press(key)

    def expect_at(self, at: int) -> None:
        expect(self.box).to_have_attribute("data-id", self.ids[at])

    def expect_shown(self, at: int) -> None:
        """That picture is in view, whole and decoded."""
        self.expect_at(at)
        image = self.box.get_by_test_id("lightbox-image")
        expect(image).to_be_visible(timeout=60_000)
        width = image.evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert width == SIZE[0]

    def place(self) -> Any:
        picture = self.box.locator(".wbx-stage-picture")
        return eventually(lambda: picture.evaluate(PLACE), lambda place: bool(place["rests"]))

    def expect_place(self, scale: float, x: float = 0, y: float = 0) -> None:
        """In how many times its fitted size, and how far from the middle, in px."""
        wanted = pytest.approx((scale, x, y), abs=0.1)
        eventually(self.place, lambda place: (place["scale"], place["x"], place["y"]) == wanted)

    def middle(self) -> tuple[float, float]:
        stage = self.place()["stage"]
        return stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2

    def addresses(self) -> Any:
        return self.bench.page.evaluate(
            "({made: addresses.made, most: addresses.most, live: addresses.live.size})"
        )

    def expect_held(self, count: int) -> None:
        eventually(lambda: self.addresses()["live"], lambda live: bool(live == count), within_s=60)


@pytest.mark.faults  # long
@pytest.mark.timeout(400)
@pytest.mark.req("LBX-1", "LBX-3")
def test_wheel_keys_mouse_and_fingers_move_a_picture_and_its_neighbours_are_there(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE, has_touch=True)
    lab.page.add_init_script(ADDRESSES)
    bench = Bench.start(lab, MADE)
    bench.py("bench.topic = topic")
    ids = bench.value("[one.id for one in shown]")
    expect(bench.card(ids[0]).get_by_test_id("thumb")).to_be_visible(timeout=60_000)
    viewer = Viewer(bench, ids)
    viewer.open(0)
    _zoom_with_the_wheel(viewer)
    _drag_with_the_mouse(viewer)
    _zoom_with_keys(viewer)
    fingers = Fingers(viewer, bench.page.context.new_cdp_session(bench.page))
    _swipe(viewer, fingers)
    _pinch(viewer, fingers)
    viewer.press("Escape")
    expect(viewer.box).to_have_count(0)
    viewer.expect_held(0)

    viewer.open(0)
    _turn_without_the_kernel(viewer)
    _hold_few_pictures(viewer)


def _zoom_with_the_wheel(viewer: Viewer) -> None:
    page = viewer.bench.page
    behind = viewer.bench.root.bounding_box()
    x, y = viewer.middle()
    x, y = x + 90, y - 60
    page.mouse.move(x, y)
    viewer.expect_place(1)
    before = viewer.place()
    for _ in range(4):
        page.mouse.wheel(0, -120)
    after = eventually(viewer.place, lambda place: place["scale"] > 2.8)
    assert after["scale"] < 3
    for place in (before, after):
        place["under"] = (
            (x - place["box"]["x"]) / place["box"]["width"],
            (y - place["box"]["y"]) / place["box"]["height"],
        )
    assert after["under"] == pytest.approx(before["under"], abs=0.002), "another part came there"
    for _ in range(6):
        page.mouse.wheel(0, 120)
    viewer.expect_place(1)
    assert viewer.bench.root.bounding_box() == behind, "the page behind was scrolled"


def _drag_with_the_mouse(viewer: Viewer) -> None:
    page = viewer.bench.page
    x, y = viewer.middle()

    def drag(by_x: float, by_y: float) -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by_x, y + by_y, steps=4)
        page.mouse.up()

    drag(-200, 0)  # what fits is not dragged about, and a mouse does not swipe
    viewer.expect_place(1)
    viewer.expect_at(0)
    page.mouse.dblclick(x, y)
    viewer.expect_place(2.5)
    drag(80, -50)
    viewer.expect_place(2.5, 80, -50)
    for _ in range(6):
        drag(500, 300)
    # No further than to its edge.
    box, stage = (viewer.place()[name] for name in ("box", "stage"))
    assert (box["x"], box["y"]) == pytest.approx((stage["x"], stage["y"]), abs=0.1)
    viewer.expect_at(0)


def _zoom_with_keys(viewer: Viewer) -> None:
    viewer.press("0")
    viewer.expect_place(1)
    for key, scale in (("+", 1.5), ("+", 2.25), ("-", 1.5), ("-", 1), ("-", 1), ("+", 1.5)):
        viewer.press(key)
        viewer.expect_place(scale)
    viewer.press("ArrowRight")
    viewer.expect_shown(1)
    viewer.expect_place(1)
    viewer.press("ArrowLeft")
    viewer.expect_shown(0)


@dataclass
class Fingers:
    """Up to two fingers on the glass; coordinates are from the middle of the stage."""

    viewer: Viewer
    session: CDPSession

    def put(self, *points: tuple[float, float]) -> None:
        self._send("touchStart", points)

    def move(self, *points: tuple[float, float]) -> None:
        self._send("touchMove", points)

    def lift(self) -> None:
        self._send("touchEnd", ())

    def swipe(self, by_x: float, by_y: float = 0) -> None:
        self.put((0, 0))
        for step in (0.25, 0.5, 0.75, 1):
            self.move((by_x * step, by_y * step))
        self.lift()

    def _send(self, kind: str, points: Sequence[tuple[float, float]]) -> None:
        x, y = self.viewer.middle()
        touches = [{"x": x + dx, "y": y + dy, "id": id} for id, (dx, dy) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def _swipe(viewer: Viewer, fingers: Fingers) -> None:
    far = viewer.place()["stage"]["width"] * 0.4
    fingers.put((0, 0))
    fingers.move((-far / 2, 0))
    fingers.move((-far, 0))
    viewer.expect_place(1, -far)  # it goes with the finger
    fingers.lift()
    viewer.expect_shown(1)
    viewer.expect_place(1)
    fingers.swipe(-far)
    viewer.expect_shown(2)
    fingers.swipe(far)
    viewer.expect_shown(1)
    fingers.swipe(20)  # changed one's mind
    viewer.expect_place(1)
    viewer.expect_at(1)
    fingers.swipe(far)
    viewer.expect_shown(0)
    fingers.swipe(far)  # there is nothing before the first one
    viewer.expect_place(1)
    viewer.expect_at(0)


def _pinch(viewer: Viewer, fingers: Fingers) -> None:
    fingers.put((-50, 0), (50, 0))
    fingers.move((-100, 0), (100, 0))
    fingers.move((-150, 0), (150, 0))
    viewer.expect_place(3)  # its middle stays in the middle
    fingers.move((-110, 30), (190, 30))  # both go on together, and it goes with them
    viewer.expect_place(3, 40, 30)
    fingers.lift()
    # Where it is zoomed in, one finger moves the picture and does not turn to the next one.
    fingers.swipe(-240, -60)
    viewer.expect_place(3, -200, -30)
    viewer.expect_at(0)
    fingers.put((-150, 0), (150, 0))
    fingers.move((-40, 0), (40, 0))
    fingers.lift()
    viewer.expect_place(1)
    viewer.expect_at(0)


def _turn_without_the_kernel(viewer: Viewer) -> None:
    """The neighbours have come before they are asked for: nobody could send them now."""
    viewer.press("ArrowRight")
    viewer.press("ArrowRight")
    viewer.expect_shown(2)
    viewer.expect_held(HELD)
    loading = viewer.box.get_by_role("status", name="Loading the full image")
    with held(viewer.bench):
        for at in (3, 4):
            viewer.press("ArrowRight")
            viewer.expect_shown(at)
        viewer.press("ArrowRight")
        viewer.expect_at(5)
        expect(loading).to_have_count(1)
        expect(viewer.box.get_by_test_id("lightbox-image")).to_have_count(0)
        viewer.press("ArrowLeft")
        viewer.expect_shown(4)
        viewer.press("ArrowRight")
    viewer.expect_shown(5)
    expect(loading).to_have_count(0)


def _hold_few_pictures(viewer: Viewer) -> None:
    """Over many steps no more than the neighbours are held, and none when it is closed."""
    viewer.press("Home")
    viewer.expect_shown(0)
    made = viewer.addresses()["made"]
    for at in range(1, 21):
        viewer.press("ArrowRight")
        viewer.expect_shown(at)
    viewer.expect_held(HELD)
    assert viewer.addresses()["made"] >= made + 20
    assert viewer.addresses()["most"] <= HELD
    viewer.press("Escape")
    expect(viewer.box).to_have_count(0)
    viewer.expect_held(0)
