"""Providers set up in the page: a key goes one way, and what is missing is said in words."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.lab_world import eventually
from tests.browser.servers import JupyterServer
from tests.browser.test_accessibility import AXE, Checks
from tests.browser.test_deleting import COMPLETED, WORKBENCH, live
from workbench.providers.catalogue import FOLDER
from workbench.testing.emulators.openai import OpenAIEmulator

if TYPE_CHECKING:
    from tests.browser.conftest import MakeLab
    from tests.browser.lab_world import LabPage, OpenNotebook

CANARY = "sk-canary-4f1d2c3b5a69788796"
WRONG = "sk-wrong-0011223344556677"


# What people make of a workspace, and a traceback with all that IPython has.
LEAVES = """
import sys
from pathlib import Path
out = Path("out")
out.mkdir()
boat = ws.generations().items[0]
boat.save(out / "one.png")
boat.batch.to_zip(out / "batch.zip")
ws.to_zip(out / "all.zip")
ws.backup(out / "backup")
shell = get_ipython()
shell.run_line_magic("xmode", "Verbose")
ws.set_provider("openai", base_url="http://127.0.0.1:9/v1")
try:
    ws.test_provider("openai")
except Exception:
    print("\\n".join(shell.InteractiveTB.structured_traceback(*sys.exc_info())))
ws.set_provider("openai")
"""


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(CANARY) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, openai: OpenAIEmulator
) -> Iterator[JupyterServer]:
    """A server whose OpenAI is the emulator, without a key."""
    base = tmp_path_factory.mktemp("providers")
    environment = {"OPENAI_BASE_URL": openai.base_url, FOLDER: str(base / "home" / "own")}
    server = JupyterServer(base / "root", base / "home", environment=environment)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def without_keys(world: JupyterServer) -> None:
    for name in ("keys.json", "settings.json"):
        (world.home / "own" / name).unlink(missing_ok=True)


def opened(lab: LabPage) -> tuple[OpenNotebook, Locator]:
    notebook = lab.write_and_open(WORKBENCH)
    notebook.run_all()
    root = notebook.widget()
    live(root)
    return notebook, root


def settings(lab: LabPage, root: Locator, name: str = "openai") -> Locator:
    """The settings of one provider, unfolded."""
    root.get_by_test_id("providers").click()
    row = lab.page.get_by_test_id("providers-dialog").locator(f"[data-name={name}]")
    row.locator("summary").click()
    return row


def said(row: Locator, words: str, *, well: bool) -> None:
    outcome = row.get_by_test_id("provider-outcome")
    expect(outcome).to_contain_text(words, timeout=20_000)
    assert (outcome.get_attribute("data-well") is not None) is well


def save_key(row: Locator, key: str) -> None:
    row.get_by_test_id("provider-key").fill(key)
    row.get_by_test_id("provider-key-save").click()
    said(row, "The key is saved.", well=True)
    expect(row.get_by_test_id("provider-key")).to_have_value("")


@pytest.mark.req("PRV-7", "TOK-4", "CFG-2")
def test_from_a_missing_key_to_a_picture_with_its_cost(
    make_lab: MakeLab, world: JupyterServer, openai: OpenAIEmulator
) -> None:
    lab = make_lab(server=world)
    _, root = opened(lab)
    chosen = root.get_by_test_id("model-select")
    # What cannot be used does not fill the list.
    assert chosen.locator("option").all_text_contents() == ["Sketch"]
    expect(root.get_by_test_id("providers")).to_contain_text("more providers…")
    row = settings(lab, root)
    expect(row.locator("summary")).to_contain_text("needs a key")
    expect(row.get_by_test_id("provider-message")).to_contain_text("OPENAI_API_KEY")
    expect(row.get_by_test_id("provider-test")).to_have_count(0)

    save_key(row, WRONG)
    expect(row).to_have_attribute("data-ready", "")
    test = row.get_by_test_id("provider-test")
    test.click()
    said(row, "OpenAI did not accept", well=False)
    assert WRONG not in lab.page.content()
    save_key(row, CANARY)
    test.click()
    said(row, "OpenAI answered; 1 model.", well=True)
    expect(test).to_be_focused()
    lab.page.keyboard.press("Escape")
    expect(root.get_by_test_id("providers")).to_be_focused()

    chosen.select_option("openai:gpt-image-2")
    expect(root.get_by_test_id("estimate")).to_contain_text("$")
    root.get_by_test_id("count").fill("1")
    root.get_by_test_id("count").press("Enter")
    root.get_by_test_id("prompt").fill("a red fox by the sea")
    root.get_by_test_id("prompt").press("Control+Enter")
    expect(root.locator(COMPLETED)).to_have_count(1, timeout=60_000)
    expect(root.get_by_test_id("balance")).to_contain_text(re.compile(r"\$0\.\d+.*spent"))
    made = [seen for seen in openai.requests if seen.path.endswith("/images/generations")]
    assert [seen.json()["model"] for seen in made] == ["gpt-image-2"]

    # Without its key the chosen model says what it lacks.
    row = settings(lab, root)
    row.get_by_test_id("provider-key-forget").click()
    said(row, "The key is removed.", well=True)
    expect(row.get_by_test_id("provider-key")).to_be_focused()
    lab.page.keyboard.press("Escape")
    expect(root.get_by_test_id("model-missing")).to_contain_text("OPENAI_API_KEY")
    assert "openai:gpt-image-2" in chosen.locator("option").all_text_contents()
    # From there it is one press to the field for the key.
    expect(root.get_by_test_id("providers")).to_have_text("Set up OpenAI…")
    root.get_by_test_id("providers").click()
    expect(row.get_by_test_id("provider-key")).to_be_in_viewport()
    lab.page.keyboard.press("Escape")


@pytest.mark.req("PRV-7")
def test_a_provider_that_cannot_be_reached_is_told_and_another_address_is_kept(
    make_lab: MakeLab, world: JupyterServer, openai: OpenAIEmulator
) -> None:
    lab = make_lab(server=world)
    notebook, root = opened(lab)
    row = settings(lab, root)
    save_key(row, CANARY)
    address, jobs = row.get_by_test_id("provider-address"), row.get_by_test_id("provider-jobs")
    jobs.fill("0")
    expect(row.get_by_test_id("provider-save")).to_have_attribute("aria-disabled", "true")
    expect(row.get_by_test_id("field-error")).to_have_text(
        "Jobs at once must be a whole number from 1 to 64."
    )
    jobs.fill("2")
    expect(row.get_by_test_id("field-error")).to_have_count(0)
    address.fill("ftp://nowhere")
    address.press("Enter")
    outcome = row.get_by_test_id("provider-outcome")
    expect(outcome).not_to_contain_text("The key is saved.")
    said(row, "The address is no address; it must begin with https://", well=False)
    address.fill("http://127.0.0.1:9/v1")  # where nobody listens
    address.press("Enter")
    said(row, "Saved.", well=True)
    row.get_by_test_id("provider-test").click()
    said(row, "cannot be reached", well=False)
    expect(row.locator(".wbx-provider-state")).to_have_text("not reachable")
    expect(row.get_by_test_id("provider-message")).to_have_count(0)  # it is said once
    lab.page.keyboard.press("Escape")
    settings(lab, root)
    expect(row.get_by_test_id("provider-message")).to_contain_text("cannot be reached")
    address.fill(openai.base_url)
    row.get_by_test_id("provider-save").click()
    said(row, "Saved.", well=True)
    row.get_by_test_id("provider-test").click()
    said(row, "answered", well=True)
    expect(row.locator(".wbx-provider-state")).to_contain_text("ready")
    lab.page.keyboard.press("Escape")
    expect(lab.page.get_by_test_id("providers-dialog")).to_have_count(0)
    told = "[(p.concurrency, p.base_url) for p in ws.providers() if p.name == 'openai']"
    assert notebook.text(notebook.insert_and_run(f"print({told})")).strip() == str(
        [(2, openai.base_url)]
    )


@pytest.mark.req("PRV-7")
def test_a_key_goes_one_way(
    make_lab: MakeLab, world: JupyterServer, openai: OpenAIEmulator
) -> None:
    """It is in the file of keys, and nowhere else: not in what the page hears, and not on a disk.

    On the disk lies what people make of a workspace, too: saved pictures, archives, backups,
    notebooks with tracebacks, and what is exported of those.
    """
    lab = make_lab(server=world)
    heard: list[str | bytes] = []

    def hear(frame: str | bytes) -> None:
        heard.append(frame)

    lab.page.on("websocket", lambda socket: socket.on("framereceived", hear))
    notebook, root = opened(lab)
    row = settings(lab, root)
    field = row.get_by_test_id("provider-key")
    field.fill(f"{CANARY} with words")
    field.press("Enter")
    said(row, "The key has characters that no key has", well=False)
    expect(field).to_have_value("")
    field.press_sequentially(CANARY)
    field.press("Enter")
    said(row, "The key is saved.", well=True)
    expect(field).to_have_value("")
    row.get_by_test_id("provider-test").click()
    said(row, "answered", well=True)
    lab.page.keyboard.press("Escape")
    root.get_by_test_id("model-select").select_option("openai:gpt-image-2")
    root.get_by_test_id("prompt").fill("a boat")
    root.get_by_test_id("prompt").press("Control+Enter")
    expect(root.locator(COMPLETED).first).to_be_visible(timeout=60_000)
    settings(lab, root)  # what is asked for again
    content = lab.page.content()
    typed = lab.page.locator("input, textarea").evaluate_all("all => all.map(one => one.value)")
    kept = lab.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    lab.page.keyboard.press("Escape")
    state = notebook.text(
        notebook.insert_and_run(
            "print(bench.get_state(), ws.providers(), vars(ws._engine.registry.provider('openai')))"
            "\nprint(ws.sql('SELECT * FROM log').to_string())"
        )
    )
    coloured = notebook.text(notebook.insert_and_run(LEAVES))
    told = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "cannot be reached" in told
    assert "in Providers.test_provider(self=<Workspace" in told, "a traceback with all values"
    saved = notebook.saved()
    html = HTMLExporter().from_notebook_node(saved)[0]
    assert "cannot be reached" in html
    folder = Path(notebook.text(notebook.insert_and_run("print(ws.path)")).strip())
    assert folder.is_relative_to(world.folder.parent), folder
    assert "openai" in state
    assert any(CANARY in seen.headers.get("authorization", "") for seen in openai.requests)
    assert len(heard) > 20

    places = {"DOM": content, "fields": str(typed), "storage": kept, "state": state}
    places |= {"traceback": told, "HTML": html}
    assert not [name for name, text in places.items() if CANARY in text]
    assert not [frame for frame in heard if contains(frame)], "an answer has the key"
    assert CANARY not in world.said()
    files = everything(world.folder.parent)
    looked_into = [path for path in files if any(b"a boat" in one for one in unpacked(path))]
    names = {path.name for path in looked_into}
    names |= {path.parent.name for path in looked_into}
    assert names >= {"one.png", "all.zip", "batch.zip", "backup"}
    found = [path for path in files if any(map(contains, unpacked(path)))]
    assert found == [world.home / "own" / "keys.json"]
    assert found[0].stat().st_mode & 0o077 == 0


def contains(frame: str | bytes) -> bool:
    return CANARY.encode() in (frame.encode() if isinstance(frame, str) else frame)


def unpacked(path: Path) -> Iterator[bytes]:
    """What is in a file: its bytes, and what an archive or a picture has packed into them."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # SQLite's journals come and go, the kernel's history has one
        return
    yield data
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
                yield from said_in(archive.read(name))
    yield from said_in(data)


def said_in(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"\x89PNG"):
        with Image.open(io.BytesIO(data)) as picture:
            yield repr(picture.info).encode()


def everything(folder: Path) -> list[Path]:
    """All files: the notebook, the database with its log, settings, what the kernel wrote."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.req("ACC-1", "TOK-4")
def test_the_dialogs_are_for_everybody(make_lab: MakeLab, world: JupyterServer) -> None:
    lab = make_lab(server=world, reduced_motion="reduce")
    notebook, root = opened(lab)
    notebook.insert_and_run(
        "ws.set_price('sketch', 2)\nws.grant(100, 'test')\nws.set_cap(50, unit='token')\n"
        "made = ws.generate('a fox', n=2, width=64, height=64, steps=1).wait(60)"
    )
    lab.page.evaluate(AXE.read_text())
    checks = Checks(lab, "light", lab.set_theme)
    keyboard = lab.page.keyboard
    opener = root.get_by_test_id("providers")
    opener.focus()
    keyboard.press("Enter")
    dialog = lab.page.get_by_test_id("providers-dialog")
    row = dialog.locator("[data-name=openai]")
    expect(row).to_be_visible()
    row.locator("summary").focus()
    keyboard.press("Enter")
    expect(row.get_by_test_id("provider-key")).to_be_visible()
    checks.look("a key is missing", root, shows="needs a key")
    keyboard.press("Tab")
    expect(row.get_by_test_id("provider-key")).to_be_focused()
    keyboard.type("dd 00")  # in JupyterLab, keys that delete a cell and restart its kernel
    keyboard.press("Enter")
    said(row, "The key has characters that no key has", well=False)
    checks.look("a key that is none", root, shows="Copy it again")
    assert notebook.cells() > 0
    keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()

    chip = root.get_by_test_id("balance")
    chip.focus()
    keyboard.press("Enter")
    spend = lab.page.get_by_test_id("spend-dialog")
    expect(spend.get_by_test_id("spend-row")).to_contain_text(["4 tokens"])
    expect(spend.get_by_test_id("spend-cap")).to_contain_text("4 tokens of 50 tokens today")
    expect(spend).to_contain_text("96 tokens left")
    checks.look("spending", root, shows="96 tokens left")
    spend.get_by_test_id("spend-provider").click()
    expect(spend.get_by_test_id("spend-row")).to_contain_text(["Built in"])
    expect(spend).to_contain_text('ws.spend("provider", days=30)')
    spend.get_by_test_id("spend-topic").click()
    expect(spend.get_by_test_id("spend-row")).to_contain_text(["a fox"])
    keyboard.press("Escape")
    expect(chip).to_be_focused()
    eventually(notebook.status, lambda status: status == "idle")
    checks.end(states=6)
