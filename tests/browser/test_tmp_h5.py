from __future__ import annotations
import time
import pytest
from playwright.sync_api import expect

COMPLETED = "[data-testid=generation][data-status=completed]"
OPENED = ["import workbench as wb", "bench = wb.Workbench(); bench.config.n = 1; bench.config.update(width=64, height=64); bench"]

def ready(nb):
    root = nb.widget()
    expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live", timeout=60_000)
    return root

def test_ten(lab):
    nb = lab.write_and_open(OPENED)
    nb.run_all()
    root = ready(nb)
    box = root.get_by_test_id("prompt")
    t = time.time()
    for i in range(10):
        box.fill(f"prompt {i}")
        box.press("Control+Enter")
    print("typed", time.time() - t)
    expect(root.locator(COMPLETED)).not_to_have_count(0, timeout=60_000)
    lab.page.wait_for_timeout(6000)
    nb.insert_and_run("print([b.prompt for b in bench.topic.batches()], len(bench.workspace.topics()))")
    print(nb.text(nb.cells() - 1))
    print(root.locator("[data-testid=feed]").inner_text()[:900].replace(chr(10), " | "))
    lab.shoot("h5-ten")
    nb.reload()
    root = ready(nb)
    expect(root.locator(COMPLETED)).not_to_have_count(0, timeout=60_000)
    nb.insert_and_run("bench.config.n = 3")
    expect(root.get_by_test_id("count")).to_have_value("3")
    nb.restart()
    lab.page.wait_for_timeout(3000)
    print("after restart", root.get_by_test_id("live").get_attribute("data-state"), root.inner_text()[:300].replace(chr(10), " | "))
    lab.shoot("h5-restarted")

def test_cut(make_lab, proxy):
    lab = make_lab(port=proxy.port)
    nb = lab.write_and_open(OPENED)
    nb.run_all()
    root = ready(nb)
    light = root.get_by_test_id("live")
    t = time.time()
    proxy.cut()
    expect(light).to_have_attribute("data-state", "offline", timeout=20_000)
    print("offline after", time.time() - t)
    lab.page.wait_for_timeout(4000)
    t = time.time()
    proxy.heal()
    expect(light).to_have_attribute("data-state", "live", timeout=60_000)
    print("live after", time.time() - t)
    root.get_by_test_id("prompt").fill("after the storm")
    root.get_by_test_id("generate").click()
    expect(root.locator(COMPLETED)).not_to_have_count(0, timeout=60_000)
    lab.console.allow(r".*")
