import { signal } from "@preact/signals";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { StubOptions } from "../dev/stub_kernel";
import { FeedView } from "../src/feed/feed_view";
import { Guard } from "../src/feed/guard";
import type { GenerationRow } from "../src/protocol";
import { closeAll, openPage, type Page, pass, sent } from "./harness";

const mounted = new Set<HTMLElement>();

beforeEach(() => {
  vi.useFakeTimers();
  globalThis.ResizeObserver ??= class { observe(): void {} unobserve(): void {} disconnect(): void {} } as never;
  // happy-dom lays nothing out: a feed of 800 × 600, blocks of the estimated height.
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(800);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
});
afterEach(() => {
  for (const el of mounted) render(null, el);
  mounted.clear();
  document.body.replaceChildren();
  closeAll();
});

interface View extends Page {
  el: HTMLElement;
  cards(): HTMLElement[];
  find(selector: string): HTMLElement;
  wait(ms: number): Promise<void>;
}

async function show(options: StubOptions = {}): Promise<View> {
  const page = await openPage(options);
  const el = document.createElement("div");
  el.className = "wbx";
  document.body.append(el);
  mounted.add(el);
  await act(() => render(<FeedView store={page.store} />, el));
  const wait = async (ms: number): Promise<void> => {
    await act(() => pass(ms) as Promise<void>);
  };
  await wait(100);
  return {
    ...page,
    el,
    wait,
    cards: () => [...el.querySelectorAll<HTMLElement>('[data-testid="generation"]')],
    find: (selector) => el.querySelector<HTMLElement>(selector) ?? expect.fail(`no ${selector}`),
  };
}

/** Gives a row of the kernel other values, and its change to the page. */
async function change(view: View, id: string, values: Partial<GenerationRow>): Promise<void> {
  const row = view.kernel.generations.get(id);
  if (!row) expect.fail(`no row ${id}`);
  view.kernel.put("generation", Object.assign(row, values));
  await view.wait(400);
}

const press = async (view: View, element: Element, key: string): Promise<void> => {
  await act(() => void element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
  await view.wait(100);
};

describe("the feed", () => {
  it("has one feed of articles, and only those near the view are in the page", async () => {
    const view = await show({ batches: 40 });
    expect(view.el.querySelectorAll('[role="feed"] > article').length).toBeGreaterThan(2);
    expect(view.el.querySelectorAll("article").length).toBeLessThan(12);
    expect(view.store.feed.history.value.length).toBeGreaterThanOrEqual(20);
    const other = [...view.find('[role="feed"]').children].filter(
      (child) => child.tagName !== "ARTICLE" && child.getAttribute("role") !== "presentation",
    );
    expect(other).toEqual([]);
  });

  it("has exactly one card that the Tab key leads to", async () => {
    const view = await show();
    expect(view.cards().filter((card) => card.tabIndex === 0)).toHaveLength(1);
  });

  /** A feed with pictures that wait; nothing moves by itself. */
  const waiting = async () => {
    const view = await show({ state: "active" });
    view.kernel.close(); // its jobs stand still
    const card = view.cards().find((one) => one.dataset["status"] === "queued") ?? expect.fail("none waits");
    return { view, card, id: card.dataset["id"]! };
  };

  it("says in each card which status it has, and how far it is", async () => {
    const { view, id } = await waiting();
    await change(view, id, { status: "processing", progress: 0.63, step: 13, total_steps: 20 });
    const same = view.find(`[data-id="${id}"]`);
    expect([same.dataset["status"], same.dataset["progress"]]).toEqual(["processing", "63"]);
    const bar = same.querySelector('[role="progressbar"]')!;
    expect(bar.getAttribute("aria-valuenow")).toBe("63");
    expect(bar.getAttribute("aria-valuetext")).toBe("63 percent, step 13 of 20");
    expect(same.querySelector(".wbx-badge")!.textContent).toContain("Generation in progress");
    expect(same.getAttribute("aria-busy")).toBe("true");
  });

  it("keeps the element of a card over all its states, and those of its siblings", async () => {
    const { view, card, id } = await waiting();
    const before = view.cards();
    await change(view, id, { status: "processing", progress: 0.5 });
    const error = { kind: "blocked", message: "Blocked by the provider.", charged: false };
    await change(view, id, { status: "failed", error });
    expect(view.cards().slice(0, before.length)).toEqual(before);
    const message = card.querySelector('[data-testid="error"]')!;
    expect(message.textContent).toContain("Blocked by the provider.Not charged.");
    expect(card.querySelector('[data-testid="retry"]')).not.toBeNull();
  });

  it.each([
    ["resolve-charged", "It was charged", "charged"],
    ["retry", "Not charged, retry", "retry"],
  ])("offers to settle what nobody knows the outcome of: %s", async (button, label, outcome) => {
    const { view, id } = await waiting();
    await change(view, id, { status: "processing", detail_key: "outcome_unknown", progress: 0.4 });
    const card = view.find(`[data-id="${id}"]`);
    expect(card.querySelector('[role="progressbar"]')).toBeNull();
    const choice = card.querySelector<HTMLElement>(`[data-testid="${button}"]`)!;
    expect(choice.textContent).toBe(label);
    await act(() => choice.click());
    await view.wait(100);
    expect(sent(view, "resolve").map((one) => one.args)).toEqual([{ generation_id: id, outcome }]);
  });

  it("offers to settle it to its owner only", async () => {
    const { view, id } = await waiting();
    await change(view, id, { status: "processing", detail_key: "outcome_unknown", mine: false });
    const card = view.find(`[data-id="${id}"]`);
    expect(card.querySelector('[data-testid="error"]')).not.toBeNull();
    expect(card.querySelectorAll(".wbx-card-choice button")).toHaveLength(0);
  });

  it("shows hostile prompts as text", async () => {
    const view = await show();
    const [batchId] = [...view.kernel.batches.keys()].filter((id) => view.el.querySelector(`[data-batch="${id}"]`));
    const row = view.kernel.batches.get(batchId!)!;
    view.kernel.put("batch", Object.assign(row, { prompt: '<img src=x onerror="alert(1)">', prompt_length: 31 }));
    await view.wait(400);
    const text = view.find(`[data-batch="${batchId}"] .wbx-prompt p`);
    expect(text.textContent).toBe('<img src=x onerror="alert(1)">');
    expect(text.querySelector("img")).toBeNull();
  });

  it("rates, marks and deletes by key, and gives the focus on before the card goes", async () => {
    const view = await show();
    const card = view.cards().find((one) => one.dataset["status"] === "completed")!;
    const id = card.dataset["id"];
    await act(() => card.focus());
    await press(view, card, "4");
    await press(view, card, "f");
    const judged = sent(view, "judge").map((one) => one.args);
    expect(judged[0]).toEqual({ generation_id: id, rating: 4 });
    expect(judged[1]).toMatchObject({ generation_id: id });
    await press(view, card, "Delete");
    expect(sent(view, "delete").map((one) => one.args)).toEqual([{ entity: "generation", id }]);
    expect(document.activeElement).not.toBe(document.body);
    expect((document.activeElement as HTMLElement).dataset["id"]).not.toBe(id);
    expect(view.store.toasts.value.at(-1)?.undo).toBeDefined();
  });

  it("opens the lightbox on click and on Enter, but not from a button of the card", async () => {
    const view = await show();
    const card = view.cards().find((one) => one.dataset["status"] === "completed")!;
    await act(() => card.querySelector<HTMLElement>('[data-testid="favourite"]')!.click());
    expect(view.store.lightbox.value).toBeNull();
    await press(view, card, "Enter");
    expect(view.store.lightbox.value).toBe(card.dataset["id"]);
  });

  it("goes on when one card is broken", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { view, id } = await waiting();
    const before = view.cards();
    await change(view, id, { status: "dancing" as never }); // no kernel of ours would say so
    const broken = view.find(".wbx-broken");
    expect(broken.textContent).toMatch(/^This item cannot be shown/);
    expect(view.cards()).toHaveLength(before.length - 1);
    await change(view, before[0]!.dataset["id"]!, { rating: 5 });
    expect(view.find(".wbx-mark-stars").textContent).toBe("5");
  });
});

it("a broken item is shown again when its row changes", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const row = signal("broken");
  const Item = () => {
    if (row.peek() === "broken") throw new Error("no such thing");
    return <p>mended</p>;
  };
  const place = document.createElement("div");
  await act(() => render(<Guard role="group" watch={() => row.value}><Item /></Guard>, place));
  expect(place.textContent).toContain("no such thing");
  await act(() => void (row.value = "as it should be"));
  expect(place.textContent).toBe("mended");
});

describe("where there are no images", () => {
  it("an empty workspace puts an example prompt into the box with one click", async () => {
    const view = await show({ state: "empty" });
    const example = view.find('[data-testid="example"]');
    await act(() => example.click());
    expect(view.store.desk.draft.value).toBe(example.textContent);
  });

  it("a topic that cannot be loaded says why, and tries again", async () => {
    const view = await show({ state: "feederror" });
    await view.wait(500);
    expect(view.find('[role="alert"]').textContent).toContain("could not be loaded");
    const before = sent(view, "topic.open").length;
    await act(() => view.find('[data-testid="retry"]').click());
    await view.wait(100);
    expect(sent(view, "topic.open").length).toBeGreaterThan(before);
  });
});
