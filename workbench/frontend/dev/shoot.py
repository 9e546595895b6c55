"""Take a screenshot of the development page (serve it first: ``npm run dev``).

Example: python dev/shoot.py "state=active&theme=dark" out.png --size 1280x800 --wait 2.5
Several: python dev/shoot.py "state=normal" a.png --themes light,dark --sizes 1280x800,420x900
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> None:
    """Read the options, open the page once per theme and size, save the pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("query", help="options of the page, e.g. state=normal&theme=dark")
    parser.add_argument("target", type=Path)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--size", "--sizes", dest="sizes", default="1280x800")
    parser.add_argument("--themes", default="", help="light,dark; empty = as in the query")
    parser.add_argument("--wait", type=float, default=2.0, help="seconds before the picture")
    parser.add_argument("--click", action="append", default=[], help="selector to click first")
    parser.add_argument("--hover", default="", help="selector to hover")
    parser.add_argument("--script", default="", help="JavaScript to run before the picture")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for size in options.sizes.split(","):
            for theme in options.themes.split(","):
                width, height = (int(side) for side in size.split("x"))
                page = browser.new_page(viewport={"width": width, "height": height})
                page.on("console", lambda message: print(f"[{message.type}] {message.text}"))
                page.on("pageerror", lambda error: print(f"[page error] {error}"))
                query = options.query + (f"&theme={theme}" if theme else "")
                page.goto(f"http://127.0.0.1:{options.port}/?{query}")
                page.wait_for_timeout(options.wait * 1000)
                for selector in options.click:
                    page.click(selector, timeout=3000)
                    page.wait_for_timeout(400)
                if options.hover:
                    page.hover(options.hover, timeout=3000)
                    page.wait_for_timeout(400)
                if options.script:
                    print(page.evaluate(options.script))
                    page.wait_for_timeout(400)
                several = "," in options.sizes or "," in options.themes
                name = f"{options.target.stem}-{size}{'-' + theme if theme else ''}"
                target = options.target.with_stem(name) if several else options.target
                page.screenshot(path=target)
                print(target)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
