import { type Signal, signal } from "@preact/signals";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { StubOptions } from "../dev/stub_kernel";
import { FeedView } from "../src/feed/feed_view";
import { Guard } from "../src/feed/guard";
import { wantsTags } from "../src/feed/tagging";
import type { GenerationRow } from "../src/protocol";
import { closeAll, openPage, type Page, mount, pass, prepare, sent } from "./harness";

beforeEach(() => {
  prepare();
  // happy-dom lays nothing out: a feed of 800 × 600, blocks of the estimated height.
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(800);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
});
afterEach(closeAll);

interface View extends Page {
  el: HTMLElement;
  cards(): HTMLElement[];
  find(selector: string): HTMLElement;
  wait(ms: number): Promise<void>;
}

async function show(options: StubOptions = {}): Promise<View> {
  const page = await openPage(options);
  const el = await mount(<FeedView store={page.store} />);
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

  it("asks for previews of what is being made, and not of what was done before it was looked at", async () => {
    const view = await show({ state: "active" });
    view.kernel.close();
    const first = (status: string) => view.cards().find((one) => one.dataset["status"] === status)!.dataset["id"]!;
    const [busy, done] = [first("processing"), first("completed")];
    await change(view, done, { preview: 3 });
    const asked = sent(view, "previews").flatMap((one) => one.args["ids"]);
    expect(asked).toContain(busy);
    expect(asked).not.toContain(done);
    // The last of them stays under the picture that it becomes, until that one is there.
    await change(view, busy, { status: "completed", asset: view.kernel.generations.get(done)!.asset });
    expect(view.find(`[data-id="${busy}"] .wbx-preview`)).toBeTruthy();
    expect(view.el.querySelector(`[data-id="${done}"] .wbx-preview`)).toBeNull();
  });

  it("lets nobody act upon pictures of a topic that is left, while the other one is on its way", async () => {
    const view = await show();
    const feed = view.find(".wbx-feed");
    const here = view.store.desk.topicId.value;
    const other = [...view.kernel.topics.keys()].find((id) => id !== here)!;
    const left = view.cards().map((card) => card.dataset["id"]);
    view.kernel.drop = (direction) => direction === "out";
    await act(() => view.store.desk.openTopic(other));
    await view.wait(500);
    expect(view.cards().map((card) => card.dataset["id"])).toEqual(left);
    expect(feed.inert).toBe(true);
    view.kernel.drop = () => false;
    await act(() => view.store.desk.openTopic(here));
    expect(feed.inert).toBe(false); // what is shown is what was chosen
  });

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

  it("does not say how long it takes while the disk is full", async () => {
    const { view, id } = await waiting();
    await change(view, id, { status: "processing", progress: 0.5, started_at: view.store.time() - 10_000 });
    const left = () => view.el.querySelector(".wbx-meta-left")?.textContent ?? "";
    expect(left()).toMatch(/s left$/);
    const full = { message: "There is no disk space left.", level: "error" as const };
    await act(() => void (view.store.notices.value = new Map([["disk_full", full]])));
    expect(left()).toBe("");
    await act(() => void (view.store.notices.value = new Map()));
    expect(left()).toMatch(/s left$/);
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

  it("offers the files of a batch as soon as there is one", async () => {
    const view = await show({ jobMs: 600_000 });
    await act(() => void view.store.submit("a red fox"));
    await view.wait(300);
    view.kernel.close(); // its jobs stand still
    const batch = view.find('.wbx-batch[data-section="active"]');
    const offered = (): boolean => batch.querySelector('[data-testid="download-zip"]') !== null;
    const [first, second] = view.kernel.latestOf(batch.dataset["batch"]!);
    await change(view, first!.id, { status: "cancelled" });
    expect(offered()).toBe(false);
    await change(view, second!.id, { status: "completed" });
    expect(offered()).toBe(true);
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

  it("says above each batch what it is and how it went", async () => {
    const view = await show();
    const id = view.find("[data-batch]").dataset["batch"]!;
    const text = (): string[] => [...view.find(`[data-batch="${id}"] .wbx-meta`).children].map((line) => [...line.children].map((one) => one.textContent).join(" · "));
    const row = view.kernel.batches.get(id)!;
    expect(text()[0]).toBe(`Sketch · ${row.width} × ${row.height} · 2:3`);
    expect(text()[1]).toMatch(/^2 images · .* · [\d.]+ s · 4 tokens$/);
    const [first] = view.store.latest(id).value;
    view.kernel.gone("generation", first!, 1_000_000);
    view.kernel.put("batch", Object.assign(row, { width: 1365, height: 768 }));
    await view.wait(400);
    expect(text()[0]).toBe("Sketch · 1365 × 768 · ≈ 16:9");
    expect(text()[1]).toMatch(/^1 image · .* · 2 tokens$/);
  });

  it("marks a card whose picture has tags, and names them", async () => {
    const view = await show();
    const id = view.cards().find((one) => one.dataset["status"] === "completed")!.dataset["id"]!;
    const mark = (): Element | null => view.find(`[data-id="${id}"]`).querySelector('[data-testid="tag-mark"]');
    expect(mark()).toBeNull();
    await change(view, id, { tags: ["fig 3", "keep"] });
    expect([mark()?.getAttribute("aria-label"), mark()?.textContent]).toEqual(["Tags: fig 3, keep", "2"]);
    await change(view, id, { tags: ["keep"] });
    expect([mark()?.getAttribute("aria-label"), mark()?.textContent]).toEqual(["Tag: keep", ""]);
  });

  it("T on a card asks for its tags, in the lightbox", async () => {
    const view = await show();
    const card = view.cards().find((one) => one.dataset["status"] === "completed")!;
    await press(view, card, "t");
    expect(view.store.lightbox.value).toBe(card.dataset["id"]);
    expect(wantsTags.delete(view.store)).toBe(true);
  });

  it("what is selected has a mark and a word for it; a simple page selects nothing by opening", async () => {
    const view = await show();
    const card = view.cards().find((one) => one.dataset["status"] === "completed")!;
    const simple = view.store.offer.simple as Signal<boolean>;
    await act(() => void (simple.value = true));
    await press(view, card, "Enter");
    expect(view.store.desk.selection.value).toEqual([]);
    await act(() => void (simple.value = false));
    await press(view, card, "Enter");
    expect(view.store.desk.selection.value).toEqual([card.dataset["id"]]);
    expect(card.querySelector(".wbx-card-picked")).not.toBeNull();
    expect(card.getAttribute("aria-label")).toMatch(/, selected$/);
    await press(view, card, " ");
    expect(card.querySelector(".wbx-card-picked")).toBeNull();
    expect(card.getAttribute("aria-label")).not.toContain("selected");
  });

  it("has an end only where something has ended", async () => {
    const view = await show({ state: "empty", jobMs: 60_000 });
    await act(() => void view.store.submit("the first fox"));
    await view.wait(500);
    expect(view.cards()).toHaveLength(4);
    expect(view.el.querySelector('[data-testid="feed-end"]')).toBeNull();
    await view.wait(600_000);
    expect(view.store.feed.history.value).toHaveLength(1);
    expect(view.el.querySelector('[data-testid="feed-end"]')).not.toBeNull();
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
  const place = await mount(<Guard role="group" watch={() => row.value}><Item /></Guard>);
  expect(place.textContent).toContain("no such thing");
  await act(() => void (row.value = "as it should be"));
  expect(place.textContent).toBe("mended");
});

describe("where the loaded images end", () => {
  const rest = (view: View): string[] => (view.kernel.order.get(view.store.desk.topicId.value!) ?? []).slice(20);
  const edge = (view: View): Element | null => view.el.querySelector('.wbx-edge[role="alert"]');
  const toTheEnd = (view: View): Promise<void> => scrolledTo(view, 100_000);
  const scrolledTo = async (view: View, top: number): Promise<void> => {
    const feed = view.find('[data-testid="feed"]');
    await act(() => {
      feed.scrollTop = top;
      feed.dispatchEvent(new Event("scroll"));
    });
    await view.wait(300);
  };

  it("bones stand for what comes; an older page that fails says why, and comes when asked again", async () => {
    const view = await show({ batches: 60 });
    const bones = view.find('[data-testid="feed"] > .wbx-bones');
    expect(bones.querySelectorAll(".wbx-grid > .wbx-bone")).toHaveLength(4);
    Object.assign(view.kernel, { state: "feederror" });
    await toTheEnd(view);
    expect(edge(view)?.textContent).toContain("Another notebook holds the workspace file.");
    expect(view.el.querySelector('[data-testid="feed"] > .wbx-bones')).toBeNull();
    expect(view.store.feed.history.value).toHaveLength(20);
    const asked = sent(view, "page").length;
    await toTheEnd(view);
    expect(sent(view, "page")).toHaveLength(asked); // it waits for a person
    await act(() => view.find('.wbx-edge [data-testid="retry"]').click());
    await view.wait(300);
    expect([sent(view, "page").length, edge(view) !== null]).toEqual([asked + 1, true]);

    Object.assign(view.kernel, { state: "normal" });
    await act(() => view.find('.wbx-edge [data-testid="retry"]').click());
    await view.wait(300);
    expect(edge(view)).toBeNull();
    expect(view.store.feed.history.value.slice(20)).toEqual(rest(view));
    await toTheEnd(view);
    expect(view.el.querySelector(`[data-batch="${rest(view).at(-1)}"]`)).not.toBeNull();
    expect(view.el.querySelector('[data-testid="feed-end"]')).not.toBeNull();
  });

  it("newer images that cannot be had are a message, once; the button to the newest asks again", async () => {
    const view = await show({ state: "huge" });
    const { feed } = view.store;
    for (let i = 0; i < 30 && !feed.hasNewer.value; i++) await scrolledTo(view, 1e7);
    expect(feed.hasNewer.value).toBe(true);
    Object.assign(view.kernel, { state: "feederror" });
    const said = (): string[] => view.store.toasts.value.map((toast) => toast.text);
    const asked = sent(view, "page").length;
    for (const top of [0, 300, 0]) await scrolledTo(view, top);
    expect(sent(view, "page")).toHaveLength(asked + 1);
    const sentence = "Newer images could not be loaded. Another notebook holds the workspace file.";
    expect(said()).toEqual([sentence]);
    await act(() => view.find('[data-testid="to-top"]').click());
    await view.wait(300);
    expect([said().length, said().at(-1)]).toEqual([2, `${sentence} Close it, or use PostgreSQL.`]);
    Object.assign(view.kernel, { state: "huge" });
    await act(() => view.find('[data-testid="to-top"]').click());
    await view.wait(300);
    expect([feed.hasNewer.value, said().length]).toEqual([false, 2]);
  });
});

describe("a batch that ends", () => {
  const point = (view: View, type: string): Promise<void> =>
    act(() => void view.find('[data-testid="feed"]').dispatchEvent(new PointerEvent(type)));

  it("goes to History in its place, under a pointer too, and keeps its element", async () => {
    const view = await show({ jobMs: 500 });
    await act(() => void view.store.submit("a red fox"));
    await view.wait(300);
    const batch = view.find('.wbx-batch[data-section="active"]');
    await point(view, "pointermove");
    await view.wait(3500);
    expect([...batch.querySelectorAll<HTMLElement>('[data-testid="generation"]')].map((card) => card.dataset["status"])).toEqual(["completed", "completed", "completed", "completed"]);
    expect([batch.isConnected, batch.dataset["section"]]).toEqual([true, "history"]);
  });

  it.each(["leaves", "rests for a minute"])("goes below older ones that are being made when the pointer %s", async (end) => {
    const view = await show({ jobMs: 600_000 });
    for (const prompt of ["an owl", "a red fox"]) {
      await act(() => void view.store.submit(prompt));
      await view.wait(300);
    }
    view.kernel.close(); // its jobs stand still
    const fox = view.find('.wbx-batch[data-section="active"]');
    await point(view, "pointermove");
    for (const row of view.kernel.latestOf(fox.dataset["batch"]!)) await change(view, row.id, { status: "completed" });
    await view.wait(10_000);
    expect(fox.dataset["section"]).toBe("active");
    if (end === "leaves") await point(view, "pointerleave");
    else await view.wait(60_000);
    expect([fox.isConnected, fox.dataset["section"]]).toEqual([true, "history"]);
  });
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
