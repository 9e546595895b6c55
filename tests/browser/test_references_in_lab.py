"""Images that go in with a request, in the page: chosen, dropped, pasted, and from the feed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab_world import eventually
from tests.browser.test_deleting import COMPLETED, WORKBENCH, live
from workbench.testing.pictures import png

if TYPE_CHECKING:
    from tests.browser.conftest import MakeLab
    from tests.browser.lab_world import OpenNotebook

# A model that takes many references, and one that takes none (the built-in one takes one).
SERVER = """
from dataclasses import replace
from workbench.testing.providers import FakeProvider
from workbench.providers.openai_images import OpenAIImages
from workbench.testing.emulators.openai import OpenAIEmulator
zoo = OpenAIEmulator("sk-zoo-0123456789", models=["gpt-image-2"]).__enter__()
ws.add_provider(OpenAIImages("zoo", base_url=zoo.base_url, key=zoo.key))
plain = FakeProvider("plain")
plain._model = replace(plain._model, max_references=0)
ws.add_provider(plain)
"""
GIVE = """
([element, kind, name, data, types]) => {
  const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], name, {type: types}));
  const how = {bubbles: true, cancelable: true};
  const event = kind === "paste"
    ? new ClipboardEvent("paste", {...how, clipboardData: given})
    : new DragEvent(kind, {...how, dataTransfer: given});
  element.dispatchEvent(event);
  return event.defaultPrevented;
}
"""

# Notes how many are shown at most: what the kernel refuses may have gone before anybody looks.
COUNT_SHOWN = """
root => {
  root.mostShown = 0;
  const look = () => {
    const now = root.querySelectorAll("[data-testid=reference]").length;
    root.mostShown = Math.max(root.mostShown, now);
  };
  new MutationObserver(look).observe(root, {subtree: true, childList: true});
}
"""


def give(element: Locator, kind: str, name: str, data: bytes, types: str = "image/png") -> bool:
    text = base64.b64encode(data).decode()
    return bool(element.page.evaluate(GIVE, [element.element_handle(), kind, name, text, types]))


def picture(name: str) -> Any:
    return {"name": f"{name}.png", "mimeType": "image/png", "buffer": png(name)}


def tell(notebook: OpenNotebook, expression: str) -> str:
    return notebook.text(notebook.insert_and_run(f"print({expression})")).strip()


@pytest.mark.req("PRV-8")
def test_references_by_file_drop_paste_and_from_a_card(make_lab: MakeLab) -> None:
    lab = make_lab()
    notebook = lab.write_and_open([WORKBENCH[0] + SERVER, WORKBENCH[1]])
    notebook.run_all()
    root = notebook.widget()
    live(root)
    notebook.insert_and_run("ws.generate('from before', n=1, width=64, height=64).wait(60)")
    notebook.insert_and_run("bench.config.update(model='zoo:gpt-image-2', n=1)")
    place, shown = root.get_by_test_id("references"), root.get_by_test_id("reference")
    expect(place).to_contain_text("Choose, drop or paste")
    root.get_by_test_id("reference-files").set_input_files([picture("first"), picture("second")])
    expect(shown).to_have_count(2)
    prompt = root.get_by_test_id("prompt")
    assert give(place, "dragover", "third.png", png("third"))
    assert give(place, "drop", "third.png", png("third"))
    assert give(prompt, "paste", "fourth.png", png("fourth"))
    assert not give(prompt, "paste", "words.txt", b"words", "text/plain"), "text is text"
    expect(shown).to_have_count(4)
    give(place, "drop", "not.pdf", b"%PDF-1.4", "application/pdf")
    toasts = root.get_by_test_id("toast")
    expect(toasts.filter(has_text="not.pdf is no image.")).to_be_visible()
    root.evaluate(COUNT_SHOWN)
    give(place, "drop", "broken.png", b"no picture at all")
    eventually(lambda: root.evaluate("root => root.mostShown"), lambda most: bool(most == 5))
    expect(shown).to_have_count(4)  # the image door did not let it in
    labels = shown.evaluate_all("all => all.map(one => one.ariaLabel)")
    names = [label.partition(": ")[2] for label in labels]
    assert names == ["first.png", "second.png", "third.png", "fourth.png"]
    shown.nth(1).click()
    expect(shown).to_have_count(3)
    expect(root.get_by_test_id("reference-add")).to_be_focused()

    notebook.insert_and_run("bench.topic = ws.topics()[0]")
    card = root.locator(COMPLETED).first
    card.hover()
    card.get_by_test_id("image-menu").click()
    lab.page.get_by_test_id("use-as-reference").click()
    expect(shown).to_have_count(4)
    expect(shown.last.locator("img")).to_be_visible()
    lab.shoot("references")
    expect(root.locator(".wbx-ref[data-waits]")).to_have_count(0)
    prompt.fill("all of them together")
    prompt.press("Control+Enter")
    expect(root.locator(COMPLETED)).to_have_count(2, timeout=60_000)
    sent = (
        "[len([part for part in seen.parts() if part.filename])"
        " for seen in zoo.requests if 'edits' in seen.path]"
    )
    assert tell(notebook, sent) == "[4]"
    # In their order, with the picture of the feed as the last one.
    newest = "bench.topic.batches(limit=1).items[0].generations[0]"
    inputs = f"[(i.role, i.position) for i in {newest}.inputs]"
    assert tell(notebook, inputs).count("reference") == 4
    # One that takes fewer keeps the first; of one that takes none they are gone, with their place.
    notebook.insert_and_run("bench.config.model = 'sketch'")
    expect(place).to_contain_text("1 of 1")
    notebook.insert_and_run(
        "bench.config.model = [m.id for m in ws.models() if m.provider == 'plain'][0]"
    )
    expect(place).to_have_count(0)
    notebook.insert_and_run("bench.config.model = 'zoo:gpt-image-2'")
    expect(place).to_contain_text("Choose, drop or paste")
    expect(shown).to_have_count(0)
