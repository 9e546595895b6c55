"""One page gets each part of the front end once, however many widgets it shows and however they
come; and only those that it needs."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.bench_page import IMPORT, SHOW, WIDE, Bench
from tests.browser.conftest import MakeLab
from tests.browser.lab_world import LabPage, OpenNotebook, eventually

FIRST = "import workbench as wb\nws = wb.open()\nfirst = wb.GenerationFeed(ws)\nfirst"
# As after a first widget, with the bundle, that this page never saw.
ONLY_LOADERS = (
    "import workbench as wb\nimport workbench.widgets.base as base\n"
    "base._bundle_given = True\nws = wb.open()"
)
SECOND = "second = wb.GenerationFeed(ws)\nsecond"
SHELVES = "() => Object.keys(globalThis.__wbx ?? {}).length"
# Another widget that carries the root part itself, as in a page of two kernels.
CARRIER = (
    "import workbench.widgets.base as base\nbase._bundle_given = False\n"
    "third = wb.Workbench(ws)\nthird"
)
# What the page asks for by name, who asks, and under which id: a question that a busy kernel has
# not answered for seconds is repeated under its own. While there is a list `heldParts` they wait.
ASKED = """() => {
  const asked = (globalThis.askedParts = []);
  const send = WebSocket.prototype.send;
  const seen = new TextDecoder("latin1");
  WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : seen.decode(data);
    const part = /"op":\\s*"bundle".*?"part":\\s*"(\\w+)"/.exec(text)?.[1];
    const [client, rid] = ["client", "rid"].map(name => text.split(`"${name}":`)[1]?.split('"')[1]);
    if (part) asked.push([part, client, rid].join(" "));
    if (part && globalThis.heldParts) globalThis.heldParts.push(() => send.call(this, data));
    else send.call(this, data);
  };
}"""
LET_GO = "() => { const held = heldParts; globalThis.heldParts = null; held.forEach(f => f()); }"
PARTS_SHOWN = "() => [...document.querySelectorAll('style[data-wbx]')].map(one => one.dataset.wbx)"


def sizes_of(notebook: OpenNotebook, names: list[str]) -> list[int]:
    index = notebook.insert_and_run(f"print([len(w._esm) for w in ({', '.join(names)},)])")
    return [int(part) for part in notebook.text(index).strip(" []\n").split(",")]


def asked_parts(lab: LabPage) -> list[str]:
    return [asked.split()[0] for asked in set(lab.page.evaluate("() => askedParts"))]


def expect_parts(lab: LabPage, *names: str) -> None:
    """These and no others come, each of them once."""
    wanted = sorted(("base", "frame", *names))
    eventually(lambda: sorted(lab.page.evaluate(PARTS_SHOWN)), lambda shown: shown == wanted)
    assert sorted(asked_parts(lab)) == sorted(names)


def boxes(lab: LabPage) -> dict[str, Any]:
    """Where the parts of the first screen stand, in whole pixels."""
    return dict(
        lab.page.evaluate(
            """names => Object.fromEntries(names.map((name) => {
              const box = document.querySelector(`.wbx-${name}`).getBoundingClientRect();
              return [name, [box.left, box.top, box.width].map(Math.round)];
            }))""",
            ["workbench", "header", "ask", "feed", "topics", "config"],
        )
    )


def test_a_page_asks_for_each_part_that_it_needs_once(lab: LabPage) -> None:
    lab.page.add_init_script(f"({ASKED})()")
    notebook = lab.write_and_open([FIRST, SECOND, "bench = wb.Workbench(ws)\nbench", CARRIER])
    notebook.run(0)
    expect_parts(lab, "feed", "lightbox")  # neither settings nor topics: there are none
    notebook.run(1)
    expect(notebook.widget("GenerationFeed").nth(1).get_by_test_id("empty")).to_be_visible()
    expect_parts(lab, "feed", "lightbox")
    notebook.run(2)
    expect(notebook.widget("Workbench").get_by_test_id("prompt")).to_be_visible()
    expect_parts(lab, "dialogs", "feed", "lightbox", "settings", "topics")
    notebook.run(3)
    expect(notebook.widget("Workbench").nth(1).get_by_test_id("prompt")).to_be_visible()
    expect_parts(lab, "dialogs", "feed", "lightbox", "settings", "topics")
    assert lab.page.evaluate(SHELVES) == 1


def test_what_a_click_opens_is_there_when_the_kernel_has_gone(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE, fresh=True)
    bench = Bench.start(lab)
    bench.py("ws.generate('a red fox', n=1, width=64, height=64).wait()")
    bench.expect_all_completed(1)
    eventually(
        lambda: lab.page.evaluate(PARTS_SHOWN),
        lambda shown: {"lightbox", "dialogs"} <= set(shown),
    )
    lab.console.allow("404", "WebSocket", "Failed to fetch", "Kernel", "kernel")
    lab.server.kill_kernel(bench.notebook.kernel_id)
    expect(bench.find("live")).to_have_attribute("data-link", "dead", timeout=30_000)
    bench.cards("completed").first.click()
    expect(bench.anywhere("lightbox")).to_be_visible()
    lab.page.keyboard.press("Escape")
    bench.find("shortcuts").click()
    expect(bench.anywhere("shortcuts-dialog")).to_be_visible()


def test_parts_that_come_late_find_their_places_kept_for_them(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(viewport=WIDE, fresh=True)
    lab.page.add_init_script(f"({ASKED})(); globalThis.heldParts = [];")
    notebook = lab.write_and_open([IMPORT, SHOW])
    notebook.run_all()
    bench = Bench(notebook)
    expect(bench.find("link-note")).to_contain_text("Waiting for the kernel")
    expect(bench.find("feed")).to_have_attribute("data-phase", "loading")
    expect(bench.find("prompt")).to_have_count(0)
    expect(bench.find("live")).to_have_attribute("data-link", "connecting")
    lab.shoot("parts-late")
    # Whoever is quicker than a part sees that it is on its way.
    bench.find("shortcuts").click()
    expect(bench.anywhere("waiting-dialog")).to_contain_text("Waiting for the kernel")
    lab.page.keyboard.press("Escape")
    expect(bench.anywhere("waiting-dialog")).to_have_count(0)
    before = boxes(lab)
    lab.page.evaluate(LET_GO)
    expect(bench.find("prompt")).to_be_visible(timeout=30_000)
    expect(bench.find("empty")).to_be_visible(timeout=30_000)
    expect(bench.find("model-select")).to_be_visible(timeout=30_000)
    expect(bench.find("link-note")).to_have_count(0)
    bench.expect_live()
    after = boxes(lab)
    banner = before["ask"][1] - after["ask"][1]  # above them, and gone by now
    for name in before:
        left, top, width = (was - now for was, now in zip(before[name], after[name], strict=True))
        moved = (left, top - banner if name in ("ask", "feed") else top, width)
        assert max(map(abs, moved)) <= 2, (name, moved)


def test_the_second_widget_carries_only_the_loader(lab: LabPage) -> None:
    notebook = lab.write_and_open([FIRST, SECOND])
    notebook.run_all()
    expect(notebook.widget("GenerationFeed")).to_have_count(2)
    whole, loader = sizes_of(notebook, ["first", "second"])
    assert whole > 20_000
    assert loader < 2_000
    assert lab.page.evaluate(SHELVES) == 1


def test_a_loader_alone_on_the_page_gets_the_bundle_from_the_kernel(lab: LabPage) -> None:
    notebook = lab.write_and_open([ONLY_LOADERS, SECOND])
    notebook.run_all()
    expect(notebook.widget("GenerationFeed").get_by_test_id("empty")).to_be_visible()
    assert lab.page.evaluate(SHELVES) == 1


def test_after_f5_both_are_there_again(lab: LabPage) -> None:
    notebook = lab.write_and_open([FIRST, SECOND])
    notebook.run_all()
    expect(notebook.widget("GenerationFeed")).to_have_count(2)
    notebook.reload()
    expect(notebook.widget("GenerationFeed")).to_have_count(2)
    expect(notebook.widget("GenerationFeed").get_by_test_id("empty")).to_have_count(2)
    assert lab.page.evaluate(SHELVES) == 1


def test_a_page_that_cannot_import_a_blob_gets_all_of_it_as_its_own_module(lab: LabPage) -> None:
    notebook = lab.write_and_open([ONLY_LOADERS, SECOND])
    # Only what the loader makes of the kernel's answer is refused: its part is a DataView.
    lab.page.evaluate(
        """() => {
          const make = URL.createObjectURL.bind(URL);
          const real = globalThis.Blob;
          globalThis.Blob = class extends real {
            constructor(parts, options) {
              super(parts, options);
              this.fromKernel = parts?.[0] instanceof DataView;
            }
          };
          URL.createObjectURL = (blob) =>
            blob.fromKernel && blob.type === "text/javascript" ? "blob:refused" : make(blob);
        }"""
    )
    lab.console.allow("blob:refused")
    notebook.run_all()
    expect(notebook.widget("GenerationFeed")).to_have_count(1, timeout=30_000)
    expect(notebook.widget("GenerationFeed").get_by_test_id("empty")).to_be_visible()
    (size,) = sizes_of(notebook, ["second"])
    assert size > 200_000, "all of it: no part can come later"


@pytest.mark.faults  # long
@pytest.mark.parametrize("cells", [[FIRST], [ONLY_LOADERS, SECOND]], ids=["bundle", "loader"])
def test_a_page_that_starts_slowly_hears_its_kernel_all_the_same(
    lab: LabPage, cells: list[str]
) -> None:
    """anywidget gives a module 2 s, and drops the messages for good of one that takes longer."""
    lab.page.add_init_script(
        """(() => {
          const real = AbortSignal.timeout.bind(AbortSignal);
          AbortSignal.timeout = (ms) => real(ms === 2000 ? 0 : ms);
        })()"""
    )
    notebook = lab.write_and_open(cells)
    notebook.run_all()
    expect(notebook.widget("GenerationFeed")).to_be_visible(timeout=30_000)
    notebook.insert_and_run("ws.generate('a red fox', n=1).wait()")
    done = notebook.page.locator("[data-testid=generation][data-status=completed]")
    expect(done).to_have_count(1, timeout=20_000)
    assert any("Failed to initialize model" in text for text in lab.console.errors)
