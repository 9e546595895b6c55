import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { MOST_LOADED } from "../src/feed_window";
import { closeAll, openPage, type Page, pass, sent, settled, shown } from "./harness";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

const topic = data.id("T", 1);
const other = data.id("T", 2);
const order = (page: Page, id = topic): string[] => page.kernel.order.get(id) ?? [];
const submit = (page: Page, prompt: string, to = topic): void => {
  void page.kernel; // from another page, or Python
  page.model.send({ op: "submit", rid: `r${Math.random()}`, client: "other-page", args: { client_key: `k${Math.random()}`, prompt, topic_id: to, n: 2 } });
};

test("the first page is there with hello, further ones follow without repeat or skip", async () => {
  const page = await openPage({ batches: 130 });
  const { feed } = page.store;
  expect(feed.state.value).toBe("ready");
  expect(feed.history.value).toEqual(order(page).slice(0, 20));
  while (feed.hasOlder.value) await settled(feed.loadOlder());
  expect(feed.history.value).toEqual(order(page));
  expect(sent(page, "page").length).toBe(3);
});

test("Python's load_more() and refresh() turn the feed, and say so when they cannot", async () => {
  const page = await openPage({ batches: 130 });
  const { feed } = page.store;
  const push = async (action: string): Promise<void> => {
    page.model.deliver({ push: "feed", to: null, action });
    await pass(200);
  };
  await push("more");
  expect(feed.history.value).toEqual(order(page).slice(0, 60));
  // Deltas that were lost and are not missed: only a refresh reads anew.
  const [newest] = order(page);
  page.kernel.batches.get(newest!)!.prompt = "changed unheard";
  await push("refresh");
  expect(page.store.batch(newest!).value?.prompt).toBe("changed unheard");
  expect(feed.history.value).toEqual(order(page).slice(0, 60));
  Object.assign(page.kernel, { state: "feederror" });
  for (const action of ["refresh", "more"]) await push(action);
  expect(page.store.toasts.value).toMatchObject([
    { level: "error", text: expect.stringContaining("Another notebook") as string },
    { level: "error", text: expect.stringContaining("Another notebook") as string },
  ]);
});

test("pages fit together while batches arrive and go", async () => {
  const page = await openPage({ batches: 130 });
  const { feed } = page.store;
  let turn = 0;
  while (feed.hasOlder.value) {
    submit(page, `new ${turn++}`);
    const loading = feed.loadOlder();
    page.model.send({ op: "delete", rid: `d${turn}`, client: "other-page", args: { entity: "batch", id: order(page)[turn * 13] } });
    await settled(loading, 300);
  }
  await pass(300);
  expect(shown(page)).toEqual(order(page));
  expect(new Set(shown(page)).size).toBe(shown(page).length);
});

test("a window that grows too long lets its far end go, and gets it back both ways", async () => {
  const page = await openPage({ state: "huge" });
  const { feed } = page.store;
  for (let i = 0; i < 25; i++) await settled(feed.loadOlder(), 60);
  expect(feed.history.value.length).toBeLessThanOrEqual(MOST_LOADED);
  expect(feed.hasNewer.value).toBe(true);
  const all = order(page);
  const contiguous = (): void => {
    const from = all.indexOf(feed.history.value[0] as string);
    expect(feed.history.value).toEqual(all.slice(from, from + feed.history.value.length));
  };
  contiguous();
  const newest = feed.history.value[0] as string;
  submit(page, "arrives above");
  await pass(200);
  expect(feed.active.value.length).toBe(1); // what runs is always shown
  await settled(feed.loadNewer());
  expect(all.indexOf(feed.history.value[0] as string)).toBeLessThan(all.indexOf(newest));
  contiguous();
  while (feed.hasNewer.value) await settled(feed.loadNewer(), 60);
  expect(feed.history.value.length).toBeLessThanOrEqual(MOST_LOADED);
  expect(feed.hasOlder.value).toBe(true);
  expect(shown(page).slice(0, 30)).toEqual(order(page).slice(0, 30));
  expect(rowsHeld(page)).toBeLessThanOrEqual(MOST_LOADED + 5);
});

test("above a window that does not reach the newest, arrivals are counted", async () => {
  const page = await openPage({ state: "huge", jobMs: 500 });
  const { feed } = page.store;
  for (let i = 0; i < 18; i++) await settled(feed.loadOlder(), 60);
  expect(feed.hasNewer.value).toBe(true);
  const before = feed.history.value;
  submit(page, "one");
  submit(page, "two");
  await pass(6000);
  expect(feed.active.value).toEqual([]);
  expect(feed.fresh.value).toBe(2);
  expect(feed.history.value).toEqual(before);
  await settled(feed.toNewest());
  expect(feed.fresh.value).toBe(0);
  expect(feed.history.value.slice(0, 5)).toEqual(order(page).slice(0, 5));
});

test("a batch goes from Active to History when all of it has ended", async () => {
  const page = await openPage({ jobMs: 500 });
  submit(page, "quick");
  await pass(300);
  const [id] = page.store.feed.active.value;
  expect(id).toBe(order(page)[0]);
  expect(page.store.feed.history.value).not.toContain(id);
  await pass(3000);
  expect(page.store.feed.active.value).toEqual([]);
  expect(page.store.feed.history.value[0]).toBe(id);
});

test("under the pointer no batch changes its place; afterwards it does", async () => {
  const page = await openPage({ jobMs: 600_000 });
  const { feed } = page.store;
  for (const prompt of ["oldest", "older", "newest"]) {
    submit(page, prompt);
    await pass(300);
  }
  page.kernel.close(); // its jobs stand still
  const end = async (id: string): Promise<void> => {
    for (const row of page.kernel.latestOf(id)) page.kernel.put("generation", Object.assign(row, { status: "completed" }));
    await pass(500);
  };
  const [newest, older, oldest] = order(page).slice(0, 3) as [string, string, string];
  const shown = (): string[] => [...feed.active.value, ...feed.history.value].slice(0, 3);
  feed.hold(true);
  await end(older);
  expect(shown()).toEqual([newest, older, oldest]);
  expect(feed.active.value).toEqual([newest, older, oldest]);
  // With the last one below it, it is in its place in History, pointer or not.
  await end(oldest);
  expect(shown()).toEqual([newest, older, oldest]);
  expect(feed.active.value).toEqual([newest]);
  await end(newest);
  expect(feed.active.value).toEqual([]);
  expect(shown()).toEqual([newest, older, oldest]);
});

test("a batch that ended before older ones goes below them when the pointer leaves", async () => {
  const page = await openPage({ jobMs: 600_000 });
  const { feed } = page.store;
  for (const prompt of ["older", "newer"]) {
    submit(page, prompt);
    await pass(300);
  }
  page.kernel.close();
  const [newer, older] = order(page).slice(0, 2) as [string, string];
  feed.hold(true);
  for (const row of page.kernel.latestOf(newer)) page.kernel.put("generation", Object.assign(row, { status: "completed" }));
  await pass(500);
  expect(feed.active.value).toEqual([newer, older]);
  feed.hold(false);
  expect(feed.active.value).toEqual([older]);
  expect(feed.history.value[0]).toBe(newer);
});

test("a retry far below the window makes its batch active, whole", async () => {
  const page = await openPage({ batches: 60 });
  const last = order(page).at(-1) as string;
  const row = page.kernel.latestOf(last)[0];
  page.model.send({ op: "retry", rid: "r", client: "other-page", args: { generation_id: row?.id } });
  await pass(500);
  expect(page.store.feed.active.value).toEqual([last]);
  expect(page.store.latest(last).value.length).toBe(page.kernel.latestOf(last).length);
  expect(page.store.feed.history.value.length).toBe(20);
});

test("switching the topic keeps the old feed until the new one is there", async () => {
  const page = await openPage();
  const { feed, desk } = page.store;
  const before = feed.history.value;
  desk.openTopic(other);
  expect(feed.history.value).toEqual(before);
  expect(feed.state.value).toBe("ready");
  expect(feed.switching.value).toBe(true);
  await pass(200);
  expect(feed.topicId.value).toBe(other);
  expect(feed.history.value).toEqual(order(page, other));
  // Back: at once, and brought up to date.
  page.kernel.order.get(topic)?.shift();
  desk.openTopic(topic);
  expect(feed.history.value).toEqual(before);
  await pass(200);
  expect(feed.history.value).toEqual(order(page).slice(0, 20));
});

test("of two quick switches only the last one shows", async () => {
  const page = await openPage();
  page.store.desk.openTopic(other);
  page.store.desk.openTopic(data.id("T", 3));
  await pass(300);
  expect(page.store.feed.topicId.value).toBe(data.id("T", 3));
  expect(sent(page, "abort").length).toBe(1);
});

test("a topic that cannot be read says why, and refresh tries again", async () => {
  const page = await openPage({ state: "feederror" });
  expect(page.store.feed.state.value).toBe("error");
  expect(page.store.feed.error.value?.message).toContain("Another notebook");
  Object.assign(page.kernel, { state: "quiet" });
  await settled(page.store.feed.refresh());
  expect(page.store.feed.state.value).toBe("ready");
  expect(page.store.feed.history.value.length).toBe(20);
});

test("a page that fails throws and can be asked for again", async () => {
  const page = await openPage();
  Object.assign(page.kernel, { state: "feederror" });
  await expect(settled(page.store.feed.loadOlder())).rejects.toThrow("Another notebook");
  expect(page.store.feed.loadingOlder.value).toBe(false);
  Object.assign(page.kernel, { state: "quiet" });
  await settled(page.store.feed.loadOlder());
  expect(page.store.feed.history.value.length).toBe(40);
});

test("refresh takes out what has gone unnoticed, also further down", async () => {
  const page = await openPage({ batches: 100 });
  const { feed } = page.store;
  while (feed.hasOlder.value) await settled(feed.loadOlder());
  const list = page.kernel.order.get(topic) as string[];
  page.kernel.order.set(topic, list.filter((_, place) => place !== 3 && place !== 55));
  await settled(feed.refresh(), 500);
  expect(feed.history.value).toEqual(page.kernel.order.get(topic));
});

test("a deleted batch goes, a restored one comes back to its place", async () => {
  const page = await openPage();
  const before = page.store.feed.history.value;
  const id = before[5] as string;
  await settled(page.store.call("delete", { entity: "batch", id }));
  expect(page.store.feed.history.value).toEqual(before.filter((one) => one !== id));
  expect(page.store.batch(id).value).toBeUndefined();
  await settled(page.store.call("restore", { entity: "batch", id }));
  expect(page.store.feed.history.value).toEqual(before);
  expect(page.store.latest(id).value.length).toBeGreaterThan(0);
});

test("deleting the open topic leads to what the desk says", async () => {
  const page = await openPage();
  await settled(page.store.call("delete", { entity: "topic", id: topic }), 500);
  expect(page.store.topics.value.map((row) => row.id)).not.toContain(topic);
  expect(page.store.desk.topicId.value).toBe(other);
  expect(page.store.feed.topicId.value).toBe(other);
});

test("a change is cheap whatever the size: one row drawn, lists untouched", async () => {
  const page = await openPage({ state: "huge" });
  const { feed } = page.store;
  for (let i = 0; i < 10; i++) await settled(feed.loadOlder(), 60);
  const history = feed.history.value;
  const id = page.store.latest(history[4] as string).value[0] as string;
  const row = page.kernel.generation(id);
  const others = page.store.generation(page.store.latest(history[5] as string).value[0] as string).value;
  page.kernel.put("generation", Object.assign(row as object, { rating: 3 }) as never);
  await pass(100);
  expect(page.store.generation(id).value?.rating).toBe(3);
  expect(feed.history.value).toBe(history);
  expect(page.store.generation(page.store.latest(history[5] as string).value[0] as string).value).toBe(others);
});

test("without a topic the feed is empty and says so", async () => {
  const page = await openPage({ state: "empty" });
  expect(page.store.feed.state.value).toBe("none");
  expect(shown(page)).toEqual([]);
});

function rowsHeld(page: Page): number {
  return (page.store as unknown as { rows: { size: { batches: number } } }).rows.size.batches;
}
