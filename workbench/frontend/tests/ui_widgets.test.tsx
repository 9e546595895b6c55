import { type ComponentType, render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { StubOptions } from "../dev/stub_kernel";
import { type Traits, traitsOf } from "../src/model";
import type { Store, WidgetProps } from "../src/store";
import { Root } from "../src/ui/root";
import { ConfigPanel } from "../src/widgets/config_panel";
import { PromptBox } from "../src/widgets/prompt_box";
import { TokenBalance } from "../src/widgets/token_balance";
import { TopicsSidebar } from "../src/widgets/topics_sidebar";
import "./all_parts";
import { closeAll, openPage, type Page, pass, sent } from "./harness";

const mounted = new Set<HTMLElement>();

beforeEach(() => {
  vi.useFakeTimers();
  globalThis.ResizeObserver ??= class { observe(): void {} unobserve(): void {} disconnect(): void {} } as never;
});
afterEach(() => {
  for (const el of mounted) render(null, el);
  mounted.clear();
  document.body.replaceChildren();
  closeAll();
});

interface View extends Page { el: HTMLElement; get(testid: string): HTMLElement; all(testid: string): HTMLElement[] }

async function show(
  Widget: ComponentType<WidgetProps<Store>>,
  options: StubOptions = {},
  traits: Partial<Record<keyof Traits, unknown>> = {},
): Promise<View> {
  const page = await openPage(options);
  const el = document.createElement("div");
  document.body.append(el);
  mounted.add(el);
  const known: Record<string, unknown> = { _widget: Widget.name, height: 0, hide_below: null, simple: false, controls: null, accent: "", ...traits };
  const model = { get: (name: string) => known[name], on: () => undefined, off: () => undefined, send: () => undefined };
  const { traits: read } = traitsOf(model);
  await act(() => render(<Root store={page.store} traits={read}><Widget store={page.store} traits={read} /></Root>, el));
  const all = (testid: string): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  return { ...page, el, all, get: (testid) => all(testid)[0] ?? expect.fail(`no ${testid}`) };
}

async function type(element: HTMLElement, text: string, ms = 0): Promise<void> {
  await act(() => {
    (element as HTMLInputElement).value = text;
    element.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await act(() => pass(ms) as Promise<void>);
}

async function key(element: HTMLElement, name: string, more: KeyboardEventInit = {}): Promise<KeyboardEvent> {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more });
  await act(() => void element.dispatchEvent(event));
  await act(() => pass(0) as Promise<void>);
  return event;
}

const click = async (element: HTMLElement): Promise<void> => {
  await act(() => element.click());
  await act(() => pass(300) as Promise<void>);
};

// -- settings -------------------------------------------------------------------------------------

test("what a number field cannot take is shown there and not sent", async () => {
  const view = await show(ConfigPanel);
  await type(view.get("width"), "99999", 1000);
  expect(view.get("width").getAttribute("aria-invalid")).toBe("true");
  expect(view.get("field-error").textContent).toContain("The largest is");
  expect(sent(view, "desk.set")).toEqual([]);
  await type(view.get("width"), "768", 1000);
  expect(view.all("field-error")).toEqual([]);
  expect(sent(view, "desk.set").at(-1)?.args["config"]).toEqual({ width: 768 });
});

test("a value from Python replaces what was typed wrongly", async () => {
  const view = await show(ConfigPanel);
  await type(view.get("width"), "9", 1000);
  await act(() => view.store.desk.set({ width: 1024 }));
  await act(() => pass(0) as Promise<void>);
  expect((view.get("width") as HTMLInputElement).value).toBe("1024");
  expect(view.all("field-error")).toEqual([]);
});

test("with the ratio locked one side moves the other, and typing does not drift", async () => {
  const view = await show(ConfigPanel);
  await act(() => view.store.desk.set({ width: 512, height: 256 }));
  await click(view.get("ratio-lock"));
  expect(view.get("ratio-lock").getAttribute("aria-pressed")).toBe("true");
  view.get("width").focus();
  for (const text of ["6", "64", "640", "1024"]) await type(view.get("width"), text);
  expect(view.store.desk.config.value).toMatchObject({ width: 1024, height: 512 });
});

test("an empty seed is random; the dice draws one; a seedless model has no field", async () => {
  const view = await show(ConfigPanel);
  await click(view.get("seed-dice"));
  expect(view.store.desk.config.value.seed).toMatch(/^\d+$/);
  await type(view.get("seed"), "", 0);
  expect(view.store.desk.config.value.seed).toBeNull();
  await act(() => view.store.desk.set({ model: "lantern/turbo" }));
  expect(view.all("seed")).toEqual([]);
});

test("only what can be used is offered; of the chosen model it is said what it lacks", async () => {
  const view = await show(ConfigPanel);
  const labels = (): (string | null)[] => [...view.get("model-select").querySelectorAll("option")].map((option) => option.textContent);
  expect(labels()).toContain("Lantern Turbo");
  const without = (name: string) => view.store.providers.value.map((one) => (one.name === name ? { ...one, ready: false, message: "LANTERN_KEY is not set." } : one));
  await act(() => void (view.store.providers.value = without("lantern")));
  expect(labels()).not.toContain("Lantern Turbo");
  expect(view.all("model-missing")).toEqual([]);
  await act(() => view.store.desk.set({ model: "lantern/turbo" }));
  await act(() => pass(300) as Promise<void>);
  const chosen = view.get("model-select").querySelector("option[disabled]")!;
  expect(chosen.textContent).toBe("Lantern Turbo");
  expect(chosen.parentElement?.getAttribute("label")).toContain("is not available");
  expect(view.get("model-missing").textContent).toBe("LANTERN_KEY is not set.");
});

test("only the chosen controls are shown; advanced ones never in simple mode", async () => {
  const some = await show(ConfigPanel, {}, { controls: ["n", "steps"] });
  expect(some.all("model-select").length + some.all("width").length + some.all("seed").length).toBe(0);
  expect(some.all("count").length).toBe(1);
  expect(some.all("param-steps").length).toBe(1);
  const simple = await show(ConfigPanel, {}, { simple: true });
  expect(simple.all("param-grain")).toEqual([]);
  expect(simple.all("param-palette").length).toBe(1);
});

// -- prompt ---------------------------------------------------------------------------------------

test("Ctrl+Enter submits; pressed twice at once it submits once", async () => {
  const view = await show(PromptBox);
  await type(view.get("prompt"), "a red fox");
  expect((await key(view.get("prompt"), "Enter", { ctrlKey: true })).defaultPrevented).toBe(true);
  await act(() => view.store.desk.setDraft("a red fox"));
  await key(view.get("prompt"), "Enter", { ctrlKey: true });
  await pass(100);
  expect(sent(view, "submit").map((message) => message.args["prompt"])).toEqual(["a red fox"]);
});

test("an invalid field holds Generate up and is named", async () => {
  const view = await show((props) => <><ConfigPanel {...props} /><PromptBox {...props} /></>);
  await type(view.get("width"), "9");
  await type(view.get("prompt"), "a red fox");
  await key(view.get("prompt"), "Enter", { ctrlKey: true });
  expect(sent(view, "submit")).toEqual([]);
  expect(view.store.toasts.value.map((toast) => toast.text)).toEqual(["Width: The smallest is 256."]);
});

test("10,000 letters are taken, one more is not, and nothing is cut off", async () => {
  const view = await show(PromptBox);
  await type(view.get("prompt"), "a".repeat(10_000));
  expect(view.get("prompt-count").textContent).toBe("10,000 / 10,000");
  await type(view.get("prompt"), "a".repeat(10_001));
  expect((view.get("prompt") as HTMLTextAreaElement).value.length).toBe(10_001);
  expect((view.get("generate") as HTMLButtonElement).disabled).toBe(true);
  expect(view.store.desk.draft.value.length).toBe(10_000);
});

test("the up key in an empty box walks through earlier prompts, the down key back", async () => {
  const view = await show(PromptBox);
  const box = view.get("prompt") as HTMLTextAreaElement;
  await key(box, "ArrowUp");
  await act(() => pass(100) as Promise<void>);
  const first = box.value;
  expect(first).not.toBe("");
  await key(box, "ArrowUp");
  expect(box.value).not.toBe(first);
  await key(box, "ArrowDown");
  expect(box.value).toBe(first);
  await key(box, "ArrowDown");
  expect(box.value).toBe("");
  await type(box, "mine");
  await key(box, "ArrowUp");
  expect(box.value).toBe("mine");
});

test("the estimate follows the settings", async () => {
  const view = await show(PromptBox);
  await act(() => pass(2500) as Promise<void>);
  expect(view.get("estimate").textContent).toContain("8 tokens");
  await act(() => view.store.desk.set({ n: 2 }));
  await act(() => pass(600) as Promise<void>);
  expect(view.get("estimate").textContent).toContain("2 images");
  expect(view.get("estimate").textContent).toContain("4 tokens");
});

test("words of a prompt that could not be submitted come back", async () => {
  const view = await show(PromptBox, { state: "diskfull" });
  await type(view.get("prompt"), "a red fox");
  await key(view.get("prompt"), "Enter", { ctrlKey: true });
  await act(() => pass(1000) as Promise<void>);
  expect((view.get("prompt") as HTMLTextAreaElement).value).toBe("a red fox");
});

// -- topics ---------------------------------------------------------------------------------------

test("deleting a topic asks once, says how many images go, and can be undone", async () => {
  const view = await show(TopicsSidebar);
  const before = view.all("topic").length;
  await key(view.get("topic").querySelector<HTMLElement>(".wbx-topic-open")!, "Delete");
  await act(() => pass(200) as Promise<void>);
  expect(view.get("confirm").textContent).toMatch(/\d+ images? goe?s? ?to the trash/);
  expect(sent(view, "delete")).toEqual([]);
  await click(view.get("confirm-action"));
  await act(() => pass(500) as Promise<void>);
  expect(sent(view, "delete").length).toBe(1);
  expect(view.all("topic").length).toBe(before - 1);
  await click(view.get("undo"));
  await act(() => pass(500) as Promise<void>);
  expect(view.all("topic").length).toBe(before);
});

test("a topic is renamed in its place; Escape keeps the old name", async () => {
  const view = await show(TopicsSidebar);
  const open = (): HTMLElement => view.get("topic").querySelector<HTMLElement>(".wbx-topic-open")!;
  await key(open(), "F2");
  const field = view.get("rename") as HTMLInputElement;
  field.value = "<img src=x onerror=alert(1)>";
  await key(field, "Enter");
  await act(() => pass(300) as Promise<void>);
  expect(sent(view, "topic.update").at(-1)?.args["title"]).toBe("<img src=x onerror=alert(1)>");
  expect(open().textContent).toContain("<img src=x onerror=alert(1)>");
  expect(view.el.querySelector("img[src=x]")).toBeNull();
  await key(open(), "F2");
  await key(view.get("rename"), "Escape");
  expect(sent(view, "topic.update").length).toBe(1);
});

test("a new topic is opened at once", async () => {
  const view = await show(TopicsSidebar);
  const before = view.store.desk.topicId.value;
  await click(view.get("new-topic"));
  await act(() => pass(300) as Promise<void>);
  expect(view.store.desk.topicId.value).not.toBe(before);
  const active = view.all("topic").filter((row) => row.dataset["active"] !== undefined);
  expect(active.map((row) => row.dataset["id"])).toEqual([view.store.desk.topicId.value]);
});

test("project headers appear only where there is more than one project", async () => {
  const view = await show(TopicsSidebar);
  expect(view.el.querySelectorAll(".wbx-project").length).toBe(view.store.projects.value.length);
  for (const project of view.store.projects.value.slice(1)) {
    await act(() => view.kernel.gone("project", project.id, project.rev + 1));
  }
  await act(() => pass(500) as Promise<void>);
  expect(view.el.querySelectorAll(".wbx-project").length).toBe(0);
});

// -- keys, tokens ---------------------------------------------------------------------------------

test("keys end at the root; those of the host go on", async () => {
  const view = await show(PromptBox);
  const heard: string[] = [];
  const listen = (event: KeyboardEvent): void => void heard.push(event.key);
  document.body.addEventListener("keydown", listen);
  for (const name of ["d", "a", "x", "b", "ArrowDown"]) await key(view.get("prompt"), name);
  await key(view.get("prompt"), "Enter", { shiftKey: true });
  await key(view.get("prompt"), "Enter", { ctrlKey: true });
  await key(view.get("prompt"), "s", { ctrlKey: true });
  document.body.removeEventListener("keydown", listen);
  expect(heard).toEqual(["s"]);
});

test("the chip lights up in the direction of the change and says it once", async () => {
  const view = await show(TokenBalance);
  expect(view.get("balance").textContent).toBe("1,250 tokens");
  const row = view.store.balances.value.get("token")!;
  await act(() => void (view.store.balances.value = new Map([["token", { ...row, amount_micro: 1_242_000_000 }]])));
  await act(() => pass(150) as Promise<void>);
  expect(view.get("balance").dataset["change"]).toBe("down");
  expect(view.get("live-region").textContent).toBe("Balance down by 8 tokens, now 1,242 tokens");
  await act(() => pass(2000) as Promise<void>);
  expect(view.get("balance").dataset["change"]).toBeUndefined();
});
