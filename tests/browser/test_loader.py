"""One page gets the bundle once, however many widgets it shows and however they come."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab_world import LabPage, OpenNotebook

FIRST = "import workbench as wb\nws = wb.open()\nfirst = wb.GenerationFeed(ws)\nfirst"
# As after a first widget, with the bundle, that this page never saw.
ONLY_LOADERS = (
    "import workbench as wb\nimport workbench.widgets.base as base\n"
    "base._bundle_given = True\nws = wb.open()"
)
SECOND = "second = wb.GenerationFeed(ws)\nsecond"
SHELVES = "() => Object.keys(globalThis.__wbx ?? {}).length"


def sizes_of(notebook: OpenNotebook, names: list[str]) -> list[int]:
    index = notebook.insert_and_run(f"print([len(w._esm) for w in ({', '.join(names)},)])")
    return [int(part) for part in notebook.text(index).strip(" []\n").split(",")]


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
    expect(notebook.widget("GenerationFeed")).to_have_count(1)
    assert lab.page.evaluate(SHELVES) == 1


def test_after_f5_both_are_there_again(lab: LabPage) -> None:
    notebook = lab.write_and_open([FIRST, SECOND])
    notebook.run_all()
    expect(notebook.widget("GenerationFeed")).to_have_count(2)
    notebook.reload()
    expect(notebook.widget("GenerationFeed")).to_have_count(2)
    assert lab.page.evaluate(SHELVES) == 1


def test_a_page_that_cannot_import_a_blob_gets_the_bundle_as_its_own_module(lab: LabPage) -> None:
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
    (size,) = sizes_of(notebook, ["second"])
    assert size > 20_000


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
    expect(notebook.widget("GenerationFeed")).to_be_visible()
    notebook.insert_and_run("ws.generate('a red fox', n=1).wait()")
    done = notebook.page.locator("[data-testid=generation][data-status=completed]")
    expect(done).to_have_count(1, timeout=20_000)
    assert any("Failed to initialize model" in text for text in lab.console.errors)
