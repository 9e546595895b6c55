import { effect } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { cancel, cancelBatch, remove } from "../src/feed/actions";
import { closeAll, openPage, type Page, pass, sent, shown } from "./harness";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

const topic = data.id("T", 1);
const order = (page: Page, id = topic): string[] => page.kernel.order.get(id) ?? [];
const prompts = (page: Page): (string | undefined)[] => page.store.feed.active.value.map((id) => page.store.batch(id).value?.prompt);
const submit = (page: Page, prompt: string): Promise<unknown> => page.store.submit(prompt).catch((error: unknown) => error);

test("the rows show at once, before anything was answered", async () => {
  const page = await openPage();
  page.store.desk.setDraft("a boat");
  void submit(page, "a boat");
  const [id] = page.store.feed.active.value;
  expect(page.store.batch(id as string).value).toMatchObject({ prompt: "a boat", n: 4 });
  const cards = page.store.latest(id as string).value.map((one) => page.store.generation(one).value?.status);
  expect(cards).toEqual(["pending", "pending", "pending", "pending"]);
  expect(page.store.desk.draft.value).toBe("");
});

test("the kernel's rows take their place under the same name", async () => {
  const page = await openPage();
  const lists: string[][] = [];
  const stop = effect(() => void lists.push(page.store.feed.active.value.map((id) => page.store.keyOf(id))));
  void submit(page, "a boat");
  const key = page.store.keyOf(page.store.feed.active.value[0] as string);
  await pass(300);
  expect(page.store.feed.active.value).toEqual([order(page)[0]]);
  expect(new Set(lists.slice(1).map(String))).toEqual(new Set([key])); // never two, never none
  expect(page.store.latest(order(page)[0] as string).value.length).toBe(4);
  stop();
});

test.each(["answer first", "delta first"])("whichever comes first: %s", async (which) => {
  const page = await openPage();
  const late: (() => void)[] = [];
  page.kernel.drop = (direction, message) => {
    const isAnswer = message["rid"] !== undefined;
    if (direction === "in" || message["push"] === "ping" || isAnswer === (which === "answer first")) return false;
    if (!isAnswer && message["push"] !== "delta") return false;
    late.push(() => page.model.deliver(structuredClone(message)));
    return true;
  };
  const done = submit(page, "a boat");
  await pass(200);
  const seen = page.store.feed.active.value;
  expect(seen).toEqual([order(page)[0]]);
  for (const deliver of late) deliver();
  await pass(50);
  expect(page.store.feed.active.value).toEqual(seen);
  expect(await done).toBeUndefined();
});

test("ten quick submissions are all there, in order, and stay so", async () => {
  const page = await openPage();
  const wanted = Array.from({ length: 10 }, (_, i) => `prompt ${i}`);
  const seen: string[][] = [];
  const stop = effect(() => void seen.push(prompts(page) as string[]));
  const all = wanted.map((prompt) => submit(page, prompt));
  expect(prompts(page)).toEqual([...wanted].reverse());
  await pass(1000);
  await Promise.all(all);
  expect(prompts(page)).toEqual([...wanted].reverse());
  const full = seen.filter((list) => list.length === 10);
  expect(full.every((list) => String(list) === String([...wanted].reverse()))).toBe(true);
  expect(seen.every((list) => list.length <= 10)).toBe(true);
  expect(order(page).length).toBe(50);
  stop();
});

test("without a topic one is made, not ten", async () => {
  const page = await openPage({ state: "empty" });
  const all = Array.from({ length: 10 }, (_, i) => submit(page, `prompt ${i}`));
  expect(prompts(page).length).toBe(10);
  expect(page.store.feed.state.value).toBe("ready");
  await pass(2000);
  await Promise.all(all);
  expect(page.kernel.topics.size).toBe(1);
  const [id] = page.kernel.topics.keys();
  expect(page.store.desk.topicId.value).toBe(id);
  expect(page.store.feed.topicId.value).toBe(id);
  expect(shown(page)).toEqual(order(page, id));
  expect(prompts(page)[0]).toBe("prompt 9");
});

test("when the first of a new topic fails the next makes it", async () => {
  const page = await openPage({ state: "empty" });
  Object.assign(page.kernel, { state: "diskfull" });
  const first = submit(page, "one");
  const second = submit(page, "two");
  await pass(12);
  Object.assign(page.kernel, { state: "quiet" });
  await pass(1000);
  expect(await first).toMatchObject({ code: "disk_full" });
  expect(await second).toBeUndefined();
  expect(prompts(page)).toEqual(["two"]);
});

test("a lost answer is asked for again and the batch is there once", async () => {
  const page = await openPage();
  let lost = 0;
  page.kernel.drop = (direction, message) => direction === "out" && message["push"] === undefined && lost++ < 1;
  const done = submit(page, "once");
  await pass(4000);
  expect(await done).toBeUndefined();
  expect(sent(page, "submit").length).toBe(2);
  expect(order(page).length).toBe(41);
  expect(page.store.feed.active.value).toEqual([order(page)[0]]);
});

/** A request that was taken on, of which the page hears nothing until it gives up. */
async function unheard(page: Page): Promise<void> {
  page.kernel.drop = (direction) => direction === "out";
  page.store.desk.setDraft("once");
  const done = submit(page, "once");
  await pass(21_000);
  expect(await done).toMatchObject({ code: "no_answer" });
  expect(order(page).length).toBe(41);
  expect(page.store.feed.active.value).toEqual([]);
  expect(page.store.desk.draft.value).toBe("once");
}
const keys = (page: Page): unknown[] => sent(page, "submit").map((one) => one.args["client_key"]);

test("what seemed lost leaves the box when its pictures are there", async () => {
  const page = await openPage({ jobMs: 600_000 });
  await unheard(page);
  page.kernel.drop = () => false;
  await pass(10_000);
  expect(page.store.feed.active.value).toEqual([order(page)[0]]);
  expect(page.store.desk.draft.value).toBe("");
  // Asked for once more on purpose it is made once more.
  void submit(page, "once");
  await pass(500);
  expect(order(page).length).toBe(42);
  expect(new Set(keys(page)).size).toBe(2);
});

test("what seemed lost and is sent again at once is not made twice", async () => {
  const page = await openPage({ jobMs: 600_000 });
  await unheard(page);
  page.kernel.drop = () => false;
  const done = submit(page, "once");
  await pass(10_000);
  expect(await done).toBeUndefined();
  expect(new Set(keys(page)).size).toBe(1);
  expect(order(page).length).toBe(41);
  expect(page.store.feed.active.value).toEqual([order(page)[0]]);
  expect(page.store.desk.draft.value).toBe("");
});

test("with another prompt or other settings it is another request", async () => {
  const page = await openPage({ jobMs: 600_000 });
  await unheard(page);
  page.store.desk.set({ n: 2 });
  void submit(page, "once");
  void submit(page, "twice");
  await pass(4000);
  expect(new Set(keys(page)).size).toBe(3);
});

test("a failure takes the rows away, gives the prompt back and says why", async () => {
  const page = await openPage({ state: "diskfull" });
  page.store.desk.setDraft("a boat");
  const done = submit(page, "a boat");
  expect(page.store.feed.active.value.length).toBe(1);
  await pass(100);
  expect(await done).toMatchObject({ code: "disk_full" });
  expect(page.store.feed.active.value).toEqual([]);
  expect(page.store.desk.draft.value).toBe("a boat");
  expect(page.store.toasts.value).toMatchObject([{ level: "error", text: expect.stringContaining("disk space") as string }]);
});

test("what is done with rows that were not answered yet waits for their ids", async () => {
  const page = await openPage({ latency: 500 });
  void submit(page, "a boat");
  const [batch] = page.store.feed.active.value as [string];
  const [first, second] = page.store.latest(batch).value.map((id) => page.store.generation(id).value!);
  void cancel(page.store, second!);
  void remove(page.store, "generation", first!.id);
  void cancelBatch(page.store, batch);
  await pass(100);
  expect(sent(page, "cancel")).toEqual([]);
  await pass(3000);
  const [id] = order(page) as [string];
  const [one, all] = sent(page, "cancel").map((message) => message.args);
  const [cancelled] = one!["generation_ids"] as [string];
  expect(page.kernel.generations.get(cancelled)).toMatchObject({ batch_id: id, index: 1 });
  expect(all).toEqual({ batch_id: id });
  const [gone] = sent(page, "delete").map((message) => message.args["id"] as string);
  expect(page.kernel.trash.get(gone!)?.generation).toMatchObject({ batch_id: id, index: 0 });
  expect(page.store.toasts.value.map((toast) => toast.level)).not.toContain("error");
});

test("of rows that were not taken on nothing is cancelled", async () => {
  const page = await openPage({ state: "diskfull" });
  void submit(page, "a boat");
  const row = page.store.generation(`${page.store.feed.active.value[0]}:0`).value!;
  void cancel(page.store, row);
  await pass(3000);
  await cancel(page.store, row);
  expect(sent(page, "cancel")).toEqual([]);
});

test("what was written meanwhile is not overwritten by the prompt that failed", async () => {
  const page = await openPage({ state: "diskfull" });
  void submit(page, "a boat");
  page.store.desk.setDraft("something else");
  await pass(100);
  expect(page.store.desk.draft.value).toBe("something else");
});

test("settings travel with the request, the seed as text", async () => {
  const page = await openPage();
  page.store.desk.set({ seed: "9223372036854775807", n: 2, negative_prompt: "people" });
  page.store.desk.setParam("steps", 30);
  void page.store.submit("a boat", { references: ["r1"] });
  await pass(200);
  expect(sent(page, "submit")[0]?.args).toMatchObject({
    prompt: "a boat", topic_id: topic, model: "sketch", n: 2, seed: "9223372036854775807",
    negative_prompt: "people", references: ["r1"], params: { steps: 30, style: "painterly" },
  });
});
