"""Pictures of every state of the widgets and of the app, made for people to look at.

    python tests/browser/screenshots.py [scene …] [--themes light,dark] [--widths 1280,420,320]

They land in tests/artifacts/screenshots as <scene>-<theme>-<width>.png, with an index.html that
shows them all. `--readme` makes the pictures of the README from them. `make screenshots` runs it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import Error, expect, sync_playwright

from tests.browser import scenes_app, scenes_faults, scenes_lab, scenes_overlays, scenes_parts
from tests.browser.ensure_browser import find_browser
from tests.browser.scenes import KEY, THEMES, WIDTHS, Camera, House, LeftOut, Setting
from tests.browser.servers import JupyterServer
from workbench.providers.catalogue import FOLDER
from workbench.testing.emulators.openai import OpenAIEmulator

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OUT = Path(__file__).parents[1] / "artifacts" / "screenshots"
README = Path(__file__).parents[2] / "notebooks" / "images"
SETTINGS = (
    *scenes_lab.SETTINGS,
    *scenes_overlays.SETTINGS,
    *scenes_parts.SETTINGS,
    *scenes_faults.SETTINGS,
)
# What each picture of the README is made from.
PUBLIC = {
    "workbench-dark": ("active", "dark", 1280),
    "workbench-light": ("active", "light", 1280),
    "workbench-narrow": ("active", "dark", 420),
    "lightbox": ("lightbox", "dark", 1280),
    "app": ("app-page", "light", 1280),
}
QUALITY = 86
WITHIN_MS = 30_000  # nothing is measured here
STYLE = """
body { margin: 0; padding: 24px; font: 14px/1.5 system-ui, sans-serif; background: #777; }
h2 { margin: 32px 0 8px; font-size: 16px; color: #fff; }
h2 span { font-weight: normal; }
div { display: flex; gap: 12px; align-items: flex-start; flex-wrap: wrap; }
img { display: block; height: 420px; }
"""


def scenes() -> dict[str, str]:
    """Every scene by name, and what it shows."""
    in_lab = {name: scene.says for one in SETTINGS for name, scene in one.scenes.items()}
    return in_lab | {name: scene.says for name, scene in scenes_app.SCENES.items()}


def shoot_in_lab(camera: Camera, house: House, names: list[str]) -> Iterator[str]:
    """Make the pictures of these scenes; yields what went wrong."""
    for setting in SETTINGS:
        wanted = [name for name in setting.scenes if name in names]
        if not wanted:
            continue
        try:
            yield from _shoot(camera, house, setting, wanted)
        except LeftOut as reason:
            print(f"{', '.join(wanted)}: left out, {reason}", flush=True)


def _shoot(camera: Camera, house: House, setting: Setting, names: list[str]) -> Iterator[str]:
    """A scene that fails may leave the stage in any state: the next ones get a new one."""
    while names:
        name = names[0]
        try:
            with setting.open(house) as stage:
                while names:
                    name = names.pop(0)
                    camera.shoot(stage, name, setting.scenes[name])
                    print(f"{name}: done", flush=True)
        except LeftOut:
            raise
        except (
            Error,
            AssertionError,
        ) as error:  # the other scenes are worth looking at all the same
            names = [other for other in names if other != name]
            print(f"{name}: {error}", flush=True)
            yield f"{name}: {error}"


def write_index(out: Path) -> None:
    """A page with all pictures that are there, a line for each scene."""
    lines = []
    for name, says in scenes().items():
        paths = [
            path
            for theme in THEMES
            for path in sorted(
                out.glob(f"{name}-{theme}-*.png"),
                key=lambda path: -int(path.stem.rpartition("-")[2]),
            )
        ]
        if not paths:
            continue
        pictures = "".join(
            f'<a href="{path.name}"><img src="{path.name}" alt="{path.stem}" title="{path.stem}"'
            ' loading="lazy"></a>'
            for path in paths
        )
        lines.append(f"<h2>{name} <span>{escape(says)}</span></h2>\n<div>{pictures}</div>")
    head = f"<!DOCTYPE html>\n<meta charset='utf-8'>\n<title>Scenes</title>\n<style>{STYLE}</style>"
    (out / "index.html").write_text("\n".join([head, *lines]), encoding="utf-8")


def publish(camera: Camera) -> None:
    """Make the pictures of the README."""
    for name, shot in PUBLIC.items():
        path = README / f"{name}.webp"
        with Image.open(camera.path(*shot)) as picture:
            picture.convert("RGB").save(path, quality=QUALITY, method=6)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def run(camera: Camera, browser: Browser, base: Path, names: list[str]) -> list[str]:
    """Make all that was asked for; returns what went wrong."""
    wrong: list[str] = []
    of_app = [name for name in names if name in scenes_app.SCENES]
    if len(of_app) < len(names):
        with OpenAIEmulator(KEY) as openai:
            environment = {"OPENAI_BASE_URL": openai.base_url, FOLDER: str(base / "own")}
            server = JupyterServer(base / "root", base / "home", environment=environment)
            server.start()
            try:
                house = House(server, browser, openai, base)
                wrong += shoot_in_lab(camera, house, names)
            finally:
                server.stop()
    if of_app:
        wrong += scenes_app.shoot(camera, browser, base / "apps", of_app)
    return wrong


def main() -> None:
    """Read the options and make the pictures."""
    known = scenes()
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], epilog=f"Scenes: {', '.join(known)}."
    )
    parser.add_argument("scenes", nargs="*", choices=[*known, []], metavar="scene")
    parser.add_argument("--themes", default=",".join(THEMES))
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    parser.add_argument("--readme", action="store_true", help="renew the README's pictures")
    options = parser.parse_args()
    widths = tuple(int(width) for width in options.widths.split(","))
    camera = Camera(OUT, tuple(options.themes.split(",")), widths)
    OUT.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=WITHIN_MS)
    wrong: list[str] = []
    if options.scenes or not options.readme:
        # Not in the system's folder for temporary files: the widget would say that it is one.
        place = tempfile.TemporaryDirectory(
            dir=OUT.parent, prefix="screenshots-", ignore_cleanup_errors=True
        )
        with place as folder, sync_playwright() as playwright:
            browser = playwright.chromium.launch(**find_browser().launch_options)
            try:
                wrong = run(camera, browser, Path(folder), options.scenes or list(known))
            finally:
                browser.close()
        write_index(OUT)
        print(f"Look at {OUT / 'index.html'}")
    if options.readme:
        publish(camera)
    if wrong:
        sys.exit("\n".join(["", "Not made:", *wrong]))


if __name__ == "__main__":
    main()
