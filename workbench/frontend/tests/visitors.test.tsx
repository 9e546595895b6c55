import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { StubKernel, type StubOptions } from "../dev/stub_kernel";
import type { StubModel } from "../dev/stub_model";
import { factsOf } from "../src/feed/details";
import { batchEntries, imageEntries } from "../src/feed/menus";
import { reuseSettings } from "../src/feed/reuse";
import { FeedState } from "../src/feed/state";
import { traitsOf } from "../src/model";
import type { GenerationDetails } from "../src/protocol";
import { Store } from "../src/store";
import { Root } from "../src/ui/root";
import { Workbench } from "../src/widgets/workbench";
import "./all_parts";
import { closeAll, openPage, pass, prepare, sent } from "./harness";

interface View {
  kernel: StubKernel; model: StubModel; store: Store; el: HTMLElement;
  find(testid: string): HTMLElement | null;
  get(testid: string): HTMLElement;
}

const ends: (() => void)[] = [];

beforeEach(() => {
  prepare();
  localStorage.clear();
  sessionStorage.clear();
});
afterEach(async () => {
  for (const end of ends.splice(0)) await act(end);
  delete document.body.dataset["voila"];
  closeAll();
});

/** A Workbench on a page of Voilà (or with `voila: false` in a notebook). */
async function show(options: StubOptions = {}, traits: Record<string, unknown> = {}): Promise<View> {
  const voila = options.voila ?? true;
  if (voila) document.body.dataset["voila"] = "voila";
  const kernel = new StubKernel({ latency: 5, state: "quiet", voila, ...options });
  const model = kernel.connect({ _widget: "Workbench", height: 0, hide_below: null, simple: true, controls: null, accent: "", ...traits });
  const { traits: read, dispose } = traitsOf(model);
  const store = new Store(model, read);
  const el = document.createElement("div");
  document.body.append(el);
  await act(() => render(<Root store={store} traits={read}><Workbench store={store} traits={read} /></Root>, el));
  ends.push(() => {
    render(null, el);
    store.dispose();
    dispose();
    kernel.close();
  });
  await tick(1000);
  const find = (testid: string): HTMLElement | null => el.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
  return { kernel, model, store, el, find, get: (testid) => find(testid) ?? expect.fail(`no ${testid}`) };
}

const tick = (ms: number): Promise<void> => act(() => pass(ms) as Promise<void>) as Promise<void>;

async function click(element: HTMLElement, ms = 300): Promise<void> {
  await act(() => element.click());
  await tick(ms);
}

async function submit(view: View, prompt: string): Promise<void> {
  const box = view.get("prompt") as HTMLTextAreaElement;
  await act(() => {
    box.value = prompt;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await act(() => void box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true })));
  await tick(1000);
}

const helloTokens = (view: { model: StubModel }): unknown[] =>
  view.model.sent.filter((message) => message["op"] === "hello").map((message) => (message["args"] as { token?: unknown }).token);

/** The module as a page that was just opened has it. */
async function newTab(): Promise<typeof import("../src/visitor")> {
  vi.resetModules();
  return import("../src/visitor");
}

// -- who it is ------------------------------------------------------------------------------------

test("a visitor's token is random, and the same in each tab and on the next day", async () => {
  const first = (await newTab()).visitorToken();
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect((await newTab()).visitorToken()).toBe(first);
  expect(localStorage.getItem("workbench-visitor")).toBe(first);
  localStorage.clear();
  const other = (await newTab()).visitorToken();
  expect(other).toMatch(/^[0-9a-f]{32}$/);
  expect(other).not.toBe(first);
});

test("what is no token is replaced; what becomes of it later does not change who the page is", async () => {
  localStorage.setItem("workbench-visitor", "A".repeat(32));
  const tab = await newTab();
  const token = tab.visitorToken();
  expect(token).toMatch(/^[0-9a-f]{32}$/);
  localStorage.setItem("workbench-visitor", "0".repeat(32));
  expect(tab.visitorToken()).toBe(token);
});

test.each(["getItem", "setItem"] as const)("where the browser refuses %s the token holds for the page", async (name) => {
  const refuse = (): never => {
    throw new DOMException("refused", "SecurityError");
  };
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined, [name]: refuse });
  const tab = await newTab();
  const token = tab.visitorToken();
  expect(token).toMatch(/^[0-9a-f]{32}$/);
  expect(tab.visitorToken()).toBe(token);
});

test("of two tabs that open at the same moment both have what stands there in the end", async () => {
  let stands: string | null = null;
  const setItem = (): void => void (stands = "0123456789abcdef".repeat(2)); // the other tab was a moment later
  vi.stubGlobal("localStorage", { getItem: () => stands, setItem });
  expect((await newTab()).visitorToken()).toBe("0123456789abcdef".repeat(2));
});

test("every hello says the token, nothing else does, and it is nowhere to be seen", async () => {
  const said = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const view = await show();
  view.kernel.note({ e: "models", id: "models", k: "put", rev: 1, d: {} });
  await tick(300);
  view.store.retry();
  await tick(300);
  const [token, ...others] = helloTokens(view);
  expect(token).toMatch(/^[0-9a-f]{32}$/);
  expect(others).toEqual([token, token]);
  await submit(view, "a red fox");
  const rest = view.model.sent.filter((message) => message["op"] !== "hello");
  expect(JSON.stringify(rest)).not.toContain(token as string);
  expect(new XMLSerializer().serializeToString(document.documentElement)).not.toContain(token as string);
  expect(JSON.stringify(said.mock.calls)).not.toContain(token as string);
});

test("a page that the kernel refuses says why, and can only be reloaded", async () => {
  const reload = vi.spyOn(window.location, "reload").mockImplementation(() => undefined);
  const view = await show({ state: "refused" });
  expect(view.get("error").textContent).toContain("This page belongs to somebody else.");
  expect(view.find("retry")).toBeNull();
  expect(view.find("prompt")).toBeNull();
  await click(view.get("reload"));
  expect(reload).toHaveBeenCalledOnce();
});

// -- the page -------------------------------------------------------------------------------------

test("in Voilà a widget without a height fills the page, and the page has a heading", async () => {
  document.title = "Foxes of the north";
  const view = await show();
  expect(view.el.firstElementChild?.className).toBe("wbx wbx-page");
  expect(view.el.querySelector<HTMLElement>(".wbx-frame")?.style.height).toBe("");
  expect([...view.el.querySelectorAll("h1")].map((one) => one.textContent)).toEqual(["Foxes of the north"]);
});

test.each([
  ["with a height", { voila: true }, { height: 500 }, "500px"],
  ["in a notebook", { voila: false }, {}, "720px"],
])("%s it is a box among others", async (_, options, traits, height) => {
  const view = await show(options, traits);
  expect(view.el.firstElementChild?.className).toBe("wbx");
  expect(view.el.querySelector<HTMLElement>(".wbx-frame")?.style.height).toBe(height);
  expect(view.el.querySelector("h1")).toBeNull();
});

test("how many images come before one's own is told above them, as it changes", async () => {
  const view = await show({ state: "queue", jobMs: 600_000 });
  const heading = (): string => view.el.querySelector(".wbx-section[data-section=active]")?.textContent ?? "";
  expect(heading()).toContain("12 images before yours");
  await act(() => view.kernel.setAhead(1));
  await tick(200);
  expect(heading()).toContain("1 image before yours");
  await act(() => view.kernel.setAhead(0));
  await tick(200);
  expect(heading()).not.toContain("before yours");
  await act(() => view.kernel.setAhead(null));
  await tick(200);
  expect(heading()).toMatch(/running/);
});

// -- limits ---------------------------------------------------------------------------------------

test("the last ten images of a day are counted down beside the button", async () => {
  const plenty = await show();
  await tick(1500);
  expect(plenty.find("images-left")).toBeNull();
  const view = await show({ state: "few" });
  expect(view.get("images-left").textContent).toBe("7 images left today");
  await submit(view, "a red fox");
  await tick(1000);
  expect(view.get("images-left").textContent).toBe("3 images left today");
  // Fewer than this request asks for.
  expect(view.get("images-left").className).toContain("wbx-estimate-short");
  view.kernel.left = 0;
  await act(() => view.store.desk.set({ n: 1 }));
  await tick(1000);
  expect(view.get("images-left").textContent).toMatch(/^No images left today; new ones at \d\d:\d\d$/);
});

test("a limit is told at the prompt, which is kept; writing on takes it away", async () => {
  const view = await show({ state: "limited" });
  await submit(view, "a red fox");
  expect(view.get("refused").textContent).toContain("You have made 100 images today");
  expect(view.get("refused").getAttribute("role")).toBe("alert");
  expect((view.get("prompt") as HTMLTextAreaElement).value).toBe("a red fox");
  expect(view.store.toasts.value).toEqual([]);
  expect(view.store.feed.active.value).toEqual([]);
  const box = view.get("prompt") as HTMLTextAreaElement;
  await act(() => {
    box.value = "a red fox in";
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
  expect(view.find("refused")).toBeNull();
});

test("a limit is told no longer than until one of the pictures has ended", async () => {
  const view = await show({ state: "limited" });
  await submit(view, "a red fox");
  expect(view.find("refused")).not.toBeNull();
  const [row] = view.kernel.generations.values();
  await tick(2000);
  expect(view.find("refused")).not.toBeNull();
  view.kernel.put("generation", Object.assign(row!, { status: "completed" }));
  await tick(500);
  expect(view.find("refused")).toBeNull();
});

// -- the end --------------------------------------------------------------------------------------

test("when the kernel of a page goes the session has ended, and Reload is all there is", async () => {
  const reload = vi.spyOn(window.location, "reload").mockImplementation(() => undefined);
  const view = await show();
  view.kernel.drop = () => true;
  await act(() => view.model.die());
  expect(view.find("ended")).toBeNull(); // it may yet turn out to be there
  await tick(1000);
  const ended = view.get("ended") as HTMLDialogElement;
  expect(ended.open).toBe(true);
  expect(ended.textContent).toContain("Your pictures are kept");
  expect(view.el.textContent).not.toMatch(/kernel|cell/i);
  await click(view.get("reload"));
  expect(reload).toHaveBeenCalledOnce();
});

test("a kernel that speaks after all takes the overlay away", async () => {
  const view = await show();
  view.kernel.drop = () => true;
  await act(() => view.model.die());
  await tick(1000);
  expect(view.find("ended")).not.toBeNull();
  view.kernel.drop = () => false;
  await tick(2000);
  expect(view.find("ended")).toBeNull();
  expect(view.store.link.value).toBe("live");
});

test("in a notebook the note about its cell stays, and nothing covers it", async () => {
  const view = await show({ voila: false });
  view.kernel.drop = () => true;
  await act(() => view.model.die());
  await tick(3000);
  expect(view.find("ended")).toBeNull();
  expect(view.get("link-note").textContent).toContain("run this cell again");
});

test("a page that is cut off for long can be reloaded", async () => {
  const view = await show();
  view.kernel.drop = () => true;
  await tick(5000);
  expect(view.get("link-note").textContent).toContain("The connection is interrupted.");
  expect(view.find("reload-now")).toBeNull();
  await tick(20_000);
  expect(view.find("reload-now")).not.toBeNull();
});

// -- temporary storage ----------------------------------------------------------------------------

test("temporary storage says so, and everything can be taken along", async () => {
  const saved: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push(this.download);
  });
  const view = await show({ state: "temporary", jobMs: 60_000, latency: 100 });
  expect(view.get("temporary").textContent).toContain("Storage here is temporary");
  await click(view.get("download-all"));
  expect(view.get("temporary").textContent).toContain("Packing your images");
  await tick(25_000); // longer than any other answer may take
  expect(view.get("temporary").textContent).toContain("Packing your images");
  await tick(5500);
  expect(view.get("temporary").textContent).toMatch(/Downloading your images: \d+ %/);
  await tick(4000);
  expect(sent(view as never, "file.open").map((message) => message.args)).toContainEqual({ kind: "everything" });
  expect(saved).toEqual(["pictures-2026-11-21.zip"]);
  expect(view.store.toasts.value.map((toast) => toast.text)).toEqual(["All images downloaded"]);
  expect(view.find("download-all")).not.toBeNull();
  await tick(100);
  expect(sent(view as never, "file.close").length).toBe(1);
});

test("a download that is not wanted any more saves nothing and says nothing", async () => {
  const saved = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => undefined);
  const view = await show({ state: "temporary", jobMs: 1000, latency: 30 });
  await click(view.get("download-all"), 700);
  await click(view.get("download-cancel"), 5000);
  expect(saved).not.toHaveBeenCalled();
  expect(view.store.toasts.value).toEqual([]);
  expect(view.find("download-all")).not.toBeNull();
  expect(sent(view as never, "file.close").length).toBe(1);
});

test("folded away it stays so in this tab, and the header brings it back", async () => {
  const view = await show({ state: "temporary" });
  await click(view.get("temporary-fold"));
  expect(view.find("temporary")).toBeNull();
  const again = await show({ state: "temporary" });
  expect(again.find("temporary")).toBeNull();
  await click(again.get("temporary-unfold"));
  expect(again.find("temporary")).not.toBeNull();
});

test("storage that stays is not spoken of", async () => {
  const view = await show();
  expect(view.find("temporary")).toBeNull();
  expect(view.find("temporary-unfold")).toBeNull();
});

// -- simple pages ---------------------------------------------------------------------------------

const MODEL = data.MODELS[0]!;

test("only what its author chose can be set, and nothing of it is for developers", async () => {
  const view = await show({}, { controls: ["model", "n"] });
  const shown = [...view.get("config").querySelectorAll("[data-testid]")].map((one) => (one as HTMLElement).dataset["testid"]);
  expect(shown).toContain("model-select");
  expect(shown.filter((id) => /width|seed|param-/.test(id ?? ""))).toEqual([]);
  expect(view.find("negative-toggle")).toBeNull();
  const other = await show({}, { controls: ["negative_prompt"] });
  expect(other.find("negative-toggle")).not.toBeNull();
});

test("menus of a simple page have nothing for people who code, and no seed without its control", async () => {
  const ids = (entries: ReturnType<typeof batchEntries>): string[] =>
    entries.flatMap((entry) => (typeof entry === "object" && "testid" in entry && entry.testid ? [entry.testid] : []));
  for (const [simple, controls, python, seed] of [[true, ["n"], false, false], [false, null, true, true]] as const) {
    const { store } = await show({ state: "normal" }, { simple, controls });
    const state = new FeedState(store);
    const row = store.feed.history.value.map((id) => store.generation(store.latest(id).value[0]!).value!)[0]!;
    const batch = store.batch(row.batch_id).value!;
    expect(ids(batchEntries(state, batch, null)).includes("copy-python")).toBe(python);
    expect(ids(imageEntries(state, row, batch, null)).includes("reuse-seed")).toBe(seed);
    state.dispose();
  }
});

test("settings that nobody can see are not taken over from an earlier batch", () => {
  const batch = { ...data.batchRow(data.id("T", 1), 3, 0, 0), n: 2, seed: "77", width: 768, height: 512, negative_prompt: "fog", params: { steps: 33, style: "ink", grain: 0.9 } };
  const desk = { config: data.startConfig(), draft: "mine" };
  const shows = (name: string): boolean => ["n", "style", "width"].includes(name);
  const { config, changes } = reuseSettings(batch, "a fox", desk, data.MODELS, shows);
  expect(config).toEqual({ n: 2, params: { steps: 20, style: "ink", palette: 0.7, grain: 0.2 } });
  expect(changes.map((change) => change.name)).toEqual(["Images", "Style"]);
  const other = reuseSettings({ ...batch, model: "lantern/turbo" }, "a fox", desk, data.MODELS, shows);
  expect(other.refused).toBe("Lantern Turbo is not available here");
});

test("the details of an image leave out what a simple page cannot set, and where it was made", async () => {
  const page = await openPage({ state: "quiet" });
  const row = [...page.kernel.generations.values()].find((one) => one.status === "completed")!;
  const details: GenerationDetails = {
    row, batch: page.kernel.batch(row.batch_id)!, prompt: "a fox", prompt_sent: null, negative_prompt: null, model_title: "Sketch",
    params: { steps: 20, grain: 0.2, secret_sampler: "x" }, duration_s: 1, note: "",
    provenance: { notebook: "app.ipynb", execution_count: 3, git_commit: "4f1c2e9aaaa", python: "3.11" },
  };
  const names = (simple: boolean): string[] => factsOf(row, details, [MODEL], simple).map((fact) => fact.name);
  expect(names(false)).toEqual(expect.arrayContaining(["Steps", "Grain", "Secret sampler", "Notebook", "Commit", "Software"]));
  expect(names(true)).toContain("Steps");
  expect(names(true)).not.toEqual(expect.arrayContaining(["Grain"]));
  expect(names(true).filter((name) => ["Grain", "Secret sampler", "Notebook", "Commit", "Software"].includes(name))).toEqual([]);
});
