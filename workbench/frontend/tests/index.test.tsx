import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { StubKernel } from "../dev/stub_kernel";
import { StubModel } from "../dev/stub_model";
import makeWidget from "../src/index";
import { hideSheet } from "../src/hidden_sheet";
import { addPartStyles, addStyles } from "../src/styles";
import "./all_parts";
import { closeAll, pass, prepare } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

function proxy(model: StubModel): StubModel {
  // As anywidget does: `initialize` and `render` get different objects.
  return { get: model.get.bind(model), on: model.on.bind(model), off: model.off.bind(model), send: model.send.bind(model), widget_manager: model.widget_manager } as never;
}

function place(): HTMLElement {
  const el = document.createElement("div");
  document.body.append(el);
  return el;
}

test("two views of a model share one store, and leave nothing behind", async () => {
  const kernel = new StubKernel({ state: "quiet", latency: 5 });
  const model = kernel.connect({ _widget: "Lightbox", height: 0, hide_below: null, simple: false, controls: null, accent: "" });
  const widget = makeWidget();
  const end = widget.initialize({ model: proxy(model) });
  const views = [place(), place()];
  const unmount = views.map((el) => widget.render({ model: proxy(model), el }));
  await pass(500);
  expect(model.sent.filter((message) => message["op"] === "hello").length).toBe(1);
  for (const el of views) expect(el.querySelector(".wbx")?.getAttribute("data-widget")).toBe("Lightbox");
  const sheets = [...document.querySelectorAll<HTMLElement>("style[data-wbx]")].map((one) => one.dataset["wbx"]);
  expect(new Set(sheets).size).toBe(sheets.length);
  expect(sheets).toEqual(expect.arrayContaining(["base", "frame"]));
  unmount.forEach((stop) => stop());
  for (const el of views) expect(el.childElementCount).toBe(0);
  end();
  expect(model.sent.at(-1)?.["op"]).toBe("bye");
  kernel.close();
});

test("a widget that this page does not know says so", async () => {
  const kernel = new StubKernel({ state: "quiet" });
  const model = kernel.connect({ _widget: "Hologram" });
  const el = place();
  const stop = makeWidget().render({ model, el });
  expect(el.textContent).toContain("Hologram");
  stop();
  kernel.close();
});

test("the saved contact sheet of a live view's cell is hidden, others are not", () => {
  const areas = [0, 1].map(() => {
    const area = document.createElement("div");
    area.className = "jp-OutputArea";
    area.append(document.createElement("div"));
    document.body.append(area);
    return area;
  });
  const [mine] = areas as HTMLElement[] as [HTMLElement, HTMLElement];
  const view = mine.firstElementChild as Element;
  const first = hideSheet(view);
  const second = hideSheet(view);
  first();
  expect(mine.hasAttribute("data-wbx-live")).toBe(true);
  expect(areas[1]?.hasAttribute("data-wbx-live")).toBe(false);
  second();
  expect(mine.hasAttribute("data-wbx-live")).toBe(false);
});

test("every style sheet is in the root or in one part", () => {
  const source = join(import.meta.dirname, "..", "src");
  const places = ["styles.ts", ...readdirSync(join(source, "parts")).map((file) => join("parts", file))];
  const listed = places.flatMap((file) =>
    [...readFileSync(join(source, file), "utf8").matchAll(/from "(.*\.css)"/g)].map((found) => normalize(join(dirname(file), found[1]!))),
  );
  const files = readdirSync(source, { recursive: true }).map(String).filter((file) => file.endsWith(".css"));
  expect(listed.sort()).toEqual(files.map((file) => normalize(file)).sort());
});

test("styles stand in one order, whenever a part comes, also in a shadow root", () => {
  const host = place();
  const inside = document.createElement("div");
  host.attachShadow({ mode: "open" }).append(inside);
  const forget = [addStyles(place()), addStyles(inside)];
  addPartStyles("topics", [".late {}"]);
  addPartStyles("feed", [".early {}"]);
  for (const target of [document.head, host.shadowRoot!]) {
    const sheets = [...target.querySelectorAll<HTMLElement>("style[data-wbx]")].map((one) => one.dataset["wbx"]);
    expect(sheets.filter((one) => ["base", "feed", "frame", "topics"].includes(one!))).toEqual(["base", "feed", "frame", "topics"]);
  }
  forget[1]!();
  addPartStyles("feed", [".newer {}"]);
  expect(document.head.querySelector('style[data-wbx="feed"]')?.textContent).toBe(".newer {}");
  expect(host.shadowRoot!.querySelector('style[data-wbx="feed"]')?.textContent).toBe(".early {}");
  forget[0]!();
});
