import type { ComponentType } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { StubOptions } from "../dev/stub_kernel";
import type { Traits } from "../src/model";
import type { GenerationRow } from "../src/protocol";
import type { Store, WidgetProps } from "../src/store";
import { invalidFields } from "../src/ui/draft";
import { liveOf } from "../src/ui/live";
import { Root } from "../src/ui/root";
import { ConfigPanel } from "../src/widgets/config_panel";
import { PromptBox } from "../src/widgets/prompt_box";
import { TokenBalance } from "../src/widgets/token_balance";
import { TopicsSidebar } from "../src/widgets/topics_sidebar";
import { Workbench } from "../src/widgets/workbench";
import "./all_parts";
import { closeAll, openPage, type Page, mount, pass, prepare, sent, settled, traitsWith } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

interface View extends Page { el: HTMLElement; get(testid: string): HTMLElement; all(testid: string): HTMLElement[] }

async function show(
  Widget: ComponentType<WidgetProps<Store>>,
  options: StubOptions = {},
  traits: Partial<Record<keyof Traits, unknown>> = {},
): Promise<View> {
  const page = await openPage(options);
  const read = traitsWith({ _widget: Widget.name, ...traits });
  const el = await mount(<Root store={page.store} traits={read}><Widget store={page.store} traits={read} /></Root>);
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

test("the slider ends at the usual four; who asks for more goes on by button or by hand", async () => {
  const view = await show(ConfigPanel);
  const slider = view.get("count").closest(".wbx-field")!.querySelector<HTMLInputElement>("input[type=range]")!;
  const count = view.get("count") as HTMLInputElement;
  expect([slider.min, slider.max, slider.value, count.value]).toEqual(["1", "4", "4", "4"]);
  expect(view.get("step-plus").getAttribute("aria-label")).toBe("One image more (this model: up to 8)");
  for (let n = 5; n <= 9; n += 1) await click(view.get("step-plus"));
  expect([view.store.desk.config.value.n, slider.value, count.value]).toEqual([8, "4", "8"]);
  expect(view.get("step-plus").getAttribute("aria-disabled")).toBe("true");
  await click(view.get("step-minus"));
  expect(count.value).toBe("7");
  await type(count, "6", 1000);
  expect(view.store.desk.config.value.n).toBe(6);
  await act(() => view.store.desk.set({ model: "lantern/turbo" }));
  expect(view.all("step-plus")).toEqual([]);
});

test("what is wrong in a number field is taken back by Escape, or by a ratio", async () => {
  const view = await show(ConfigPanel);
  const width = (): HTMLInputElement => view.get("width") as HTMLInputElement;
  const was = width().value;
  await type(width(), "abc", 1000);
  const escape = await key(width(), "Escape");
  expect([width().value, width().getAttribute("aria-invalid"), escape.defaultPrevented]).toEqual([was, null, true]);
  expect((await key(width(), "Escape")).defaultPrevented).toBe(false);
  const pressed = view.el.querySelector<HTMLElement>(".wbx-ratio[aria-pressed=true]")!;
  await type(width(), "abc", 1000);
  await click(pressed);
  expect([width().value, width().getAttribute("aria-invalid")]).toEqual([was, null]);
  expect(invalidFields(view.store).value.size).toBe(0);
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

test("the help of a model's parameter is a tooltip of its name, and said with it", async () => {
  const view = await show(ConfigPanel);
  const steps = view.store.desk.model.value!.parameters.find((one) => one.name === "steps")!;
  const help = view.get("param-steps").closest(".wbx-field")!.querySelector<HTMLElement>(".wbx-help")!;
  expect(help.getAttribute("aria-label")).toBe(`About ${steps.label}: ${steps.help}`);
  const tip = view.el.querySelector(".wbx-tip")!;
  await act(() => void help.dispatchEvent(new PointerEvent("pointerover", { bubbles: true, pointerType: "mouse" })));
  expect(tip.textContent).toBe("");
  await act(() => pass(500) as Promise<void>);
  expect(tip.textContent).toBe(steps.help);
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

test("what is typed as a negative prompt goes with the prompt, and not once it is put away", async () => {
  const view = await show(PromptBox);
  expect(view.all("negative-prompt")).toEqual([]);
  await click(view.get("negative-toggle"));
  await type(view.get("negative-prompt"), "people", 500);
  expect(sent(view, "desk.set").at(-1)?.args["config"]).toMatchObject({ negative_prompt: "people" });
  await type(view.get("prompt"), "a red fox");
  await click(view.get("generate"));
  await click(view.get("negative-toggle"));
  await type(view.get("prompt"), "an owl");
  await click(view.get("generate"));
  expect(view.all("negative-prompt")).toEqual([]);
  const asked = sent(view, "submit").map(({ args }) => [args["prompt"], args["negative_prompt"]]);
  expect(asked).toEqual([["a red fox", "people"], ["an owl", null]]);
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

/** What the kernel's estimate says of a cap. */
const CAPPED = "This would cost $0.08, and $0.02 of the cap of $1.00 a day for you is left.";

test("what a cap would refuse is said beforehand, and asked once more before anything is held up", async () => {
  const view = await show(PromptBox);
  let refusal = CAPPED;
  const call = view.store.call.bind(view.store);
  vi.spyOn(view.store, "call").mockImplementation(async (op, args, options) => {
    const answer = await call(op, args, options);
    return (op === "estimate" ? { ...(answer as object), refusal } : answer) as never;
  });
  await act(() => view.store.desk.set({ n: 3 }));
  await act(() => pass(1000) as Promise<void>);
  expect(view.get("estimate-refusal").textContent).toBe(CAPPED);
  await act(() => pass(2500) as Promise<void>);
  expect(liveOf(view.store).value.value).toContain(CAPPED);
  // There is one live region; what is refused when it is asked for is an alert.
  expect(view.el.querySelectorAll("[role=status], [aria-live]").length).toBe(view.all("live-region").length);
  await type(view.get("prompt"), "a red fox");
  await click(view.get("generate"));
  expect([sent(view, "submit"), view.get("refused").textContent]).toEqual([[], CAPPED]);
  expect([view.get("refused").getAttribute("role"), (view.get("prompt") as HTMLTextAreaElement).value]).toEqual(["alert", "a red fox"]);
  // Somebody has lifted the cap, of which no page hears.
  refusal = "";
  await click(view.get("generate"));
  expect(sent(view, "submit").map((one) => one.args["prompt"])).toEqual(["a red fox"]);
  expect(view.all("refused").length + view.all("estimate-refusal").length).toBe(0);
});

test("a refusal is of the settings it was asked for: others are not held up by it", async () => {
  const view = await show(PromptBox);
  const call = view.store.call.bind(view.store);
  vi.spyOn(view.store, "call").mockImplementation(async (op, args = {}, options = {}) => {
    const answer = await call(op, args, options);
    return (op === "estimate" ? { ...(answer as object), refusal: (args as { n: number }).n > 2 ? CAPPED : "" } : answer) as never;
  });
  await act(() => view.store.desk.set({ n: 3 }));
  await act(() => pass(1000) as Promise<void>);
  expect(view.all("estimate-refusal")).toHaveLength(1);
  await act(() => view.store.desk.set({ n: 2 }));
  expect(view.all("estimate-refusal")).toHaveLength(0);
  await type(view.get("prompt"), "a red fox");
  await click(view.get("generate"));
  expect(sent(view, "submit")).toHaveLength(1);
});

test("words of a prompt that could not be submitted come back", async () => {
  const view = await show(PromptBox, { state: "diskfull" });
  await type(view.get("prompt"), "a red fox");
  await key(view.get("prompt"), "Enter", { ctrlKey: true });
  await act(() => pass(1000) as Promise<void>);
  expect((view.get("prompt") as HTMLTextAreaElement).value).toBe("a red fox");
});

// -- topics ---------------------------------------------------------------------------------------

test("what a person has to settle is not on its way", async () => {
  const view = await show(TopicsSidebar, { state: "empty", jobMs: 60_000 });
  await act(() => void view.store.submit("a red fox"));
  await act(() => pass(1000) as Promise<void>);
  const [topic] = view.kernel.topics.values();
  view.kernel.close(); // its jobs stand still
  await act(() => view.kernel.put("topic", Object.assign(topic!, { images: 0 })));
  const unknown = (rows: readonly GenerationRow[]) =>
    act(async () => {
      for (const row of rows) {
        view.kernel.put("generation", Object.assign(row, { status: "processing", detail_key: "outcome_unknown" }));
      }
      await pass(1000);
    });
  const line = (): string | null => view.el.querySelector(".wbx-topic-line")!.textContent;
  const rows = [...view.kernel.generations.values()];
  await unknown(rows.slice(1));
  expect(line()).toBe("1 on the way");
  await unknown(rows);
  expect(line()).toBe("4 to settle");
});

test("a topic whose first images are being made is not called empty", async () => {
  const view = await show(TopicsSidebar, { state: "empty", jobMs: 60_000 });
  await act(() => void view.store.submit("a red fox"));
  await act(() => pass(1000) as Promise<void>);
  const [topic] = view.kernel.topics.values();
  const images = (count: number) => act(() => view.kernel.put("topic", Object.assign(topic!, { images: count })));
  await images(0);
  await act(() => pass(500) as Promise<void>);
  const line = (): string | null => view.el.querySelector(`[data-id="${topic!.id}"] .wbx-topic-line`)!.textContent;
  expect(line()).toBe("4 on the way");
  // Nor while another topic is open.
  let other = "";
  await act(async () => {
    other = (await settled(view.store.call<{ topic: { id: string } }>("topic.create", { title: "Cats" }))).topic.id;
  });
  await act(() => view.store.desk.openTopic(other));
  await act(() => pass(1000) as Promise<void>);
  expect(view.store.feed.topicId.value).toBe(other);
  expect(line()).toBe("4 on the way");
  await images(1);
  await act(() => pass(500) as Promise<void>);
  expect(line()).toMatch(/^1 · /);
});

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

test("a title that is being changed stays that of its topic when another one is opened", async () => {
  const view = await show(Workbench);
  const [first, second] = view.store.topics.value;
  await act(() => view.store.desk.openTopic(first!.id));
  await act(() => pass(1000) as Promise<void>);
  await act(() => view.get("topic-title").click()); // as by keyboard
  (view.get("rename") as HTMLInputElement).value = "Owls at night";
  await act(() => view.store.desk.openTopic(second!.id)); // in another window, or by Python
  await act(() => pass(1000) as Promise<void>);
  expect(view.all("rename")).toEqual([]);
  expect(view.get("topic-title").textContent).toBe(second!.title);
  expect(sent(view, "topic.update").map((one) => one.args)).toEqual([{ id: first!.id, title: "Owls at night" }]);
});

test("a prompt box without a kernel takes no words: nobody would keep them", async () => {
  const view = await show(PromptBox);
  const box = (): HTMLTextAreaElement => view.get("prompt") as HTMLTextAreaElement;
  expect(box().readOnly).toBe(false);
  view.kernel.drop = () => true;
  await act(() => view.model.die());
  expect([view.store.link.value, box().readOnly]).toEqual(["dead", true]);
});

test("after a new topic comes its first prompt", async () => {
  const view = await show(Workbench);
  view.get("new-topic").focus();
  await click(view.get("new-topic"));
  expect(document.activeElement).toBe(view.get("prompt"));
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

// -- at rest ---------------------------------------------------------------------------------------

test("a page at rest asks the kernel for nothing: in a minute it only answers pings", async () => {
  const view = await show(Workbench);
  await act(() => pass(3000) as Promise<void>); // what follows from showing it: a price, pictures
  expect(sent(view, "estimate")).not.toEqual([]);
  view.model.sent.length = 0;
  await act(() => pass(60_000) as Promise<void>);
  const ops = view.model.sent.map((message) => message["op"]);
  expect(ops.length).toBeGreaterThan(10);
  expect(new Set(ops)).toEqual(new Set(["pong"]));
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

test("before anything was booked, and while all is free, no chip says 0 tokens", async () => {
  const view = await show(Workbench);
  const chip = (): HTMLElement => view.get("balance");
  expect(chip().hasAttribute("hidden")).toBe(false);
  await act(() => void (view.store.balances.value = new Map()));
  const priced = view.store.models.value;
  const free = (price_micro: number, by_provider = false) => priced.map((one) => ({ ...one, price_micro, by_provider }));
  const hidden: boolean[] = [];
  for (const models of [free(0), free(2_000_000, true), free(2_000_000)]) {
    await act(() => void (view.store.models.value = models));
    hidden.push(chip().hasAttribute("hidden"));
  }
  expect(hidden).toEqual([true, true, false]);
  expect(chip().textContent).toBe("0 tokens");
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
