import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { fitTo, nearest } from "../src/fitting";
import type { Config, Desk, ModelInfo } from "../src/protocol";
import { closeAll, joinPage, openPage, type Page, pass, sent } from "./harness";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

const client = (page: Page): string => String(page.model.sent[0]?.["client"]);
function push(page: Page, change: Partial<Desk>, from: string | null = null, n: number | null = null): void {
  Object.assign(page.kernel.desk, change);
  page.kernel.deskRev += 1;
  page.model.deliver({ push: "desk", to: null, rev: page.kernel.deskRev, desk: structuredClone(page.kernel.desk), from_client: from, from_n: n });
}

test("a change shows at once and is sent once, 150 ms after the last", async () => {
  const page = await openPage();
  for (const text of ["a", "ab", "abc"]) {
    page.store.desk.setDraft(text);
    expect(page.store.desk.draft.value).toBe(text);
    await pass(100);
  }
  expect(sent(page, "desk.set").length).toBe(0);
  await pass(100);
  expect(sent(page, "desk.set").map((message) => message.args)).toEqual([{ n: 1, draft: "abc" }]);
});

test("an echo does not overtake typing", async () => {
  const page = await openPage();
  page.store.desk.setDraft("abc");
  await pass(155);
  page.store.desk.setDraft("abcd");
  await pass(30); // the echo of "abc" is here
  expect(page.store.desk.draft.value).toBe("abcd");
  await pass(500);
  expect(page.kernel.desk.draft).toBe("abcd");
  expect(page.store.desk.draft.value).toBe("abcd");
});

test("what Python changes shows, except for what is being changed here", async () => {
  const page = await openPage();
  page.store.desk.set({ n: 2 });
  push(page, { config: { ...data.startConfig(), n: 3, seed: "7" } });
  expect(page.store.desk.config.value).toMatchObject({ n: 2, seed: "7" });
  await pass(500);
  expect(page.store.desk.config.value.n).toBe(2);
  push(page, { config: { ...data.startConfig(), n: 1 } });
  expect(page.store.desk.config.value.n).toBe(1);
});

test("what the kernel makes of a value is taken over", async () => {
  const page = await openPage();
  page.store.desk.set({ width: 500 });
  await pass(152);
  push(page, { config: { ...data.startConfig(), width: 512 } }, client(page), 1);
  expect(page.store.desk.config.value.width).toBe(512);
});

test("an older push than the last is ignored", async () => {
  const page = await openPage();
  push(page, { draft: "new" });
  page.model.deliver({ push: "desk", to: null, rev: 1, desk: { ...page.kernel.desk, draft: "old" }, from_client: null, from_n: null });
  expect(page.store.desk.draft.value).toBe("new");
});

test("what the kernel refuses is taken back and said", async () => {
  const page = await openPage();
  page.kernel.drop = (direction, message) => {
    if (direction !== "in" || message["op"] !== "desk.set") return false;
    setTimeout(() => page.model.deliver({ rid: message["rid"], to: message["client"], ok: false, error: { code: "invalid_request", message: "n: must be 1 to 8.", field: "n" } }), 5);
    return true;
  };
  page.store.desk.set({ n: 99 });
  await pass(200);
  expect(page.store.desk.config.value.n).toBe(4);
  expect(page.store.toasts.value).toMatchObject([{ text: "n: must be 1 to 8.", level: "error" }]);
});

test("what could not be sent is sent when the connection is back", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  page.store.desk.setDraft("kept");
  await pass(25_000);
  page.kernel.drop = () => false;
  await pass(20_000);
  expect(page.store.link.value).toBe("live");
  expect(page.kernel.desk.draft).toBe("kept");
  expect(page.store.desk.draft.value).toBe("kept");
});

test("a page that is left sends what waits", async () => {
  const page = await openPage();
  page.store.desk.setDraft("unsent");
  globalThis.dispatchEvent(new Event("pagehide"));
  expect(sent(page, "desk.set").length).toBe(1);
});

test("two widgets of a notebook stay in step", async () => {
  const one = await openPage();
  const two = await joinPage(one.kernel, "PromptBox");
  one.store.desk.setDraft("shared");
  one.store.desk.openTopic(data.id("T", 2));
  await pass(400);
  expect(two.store.desk.draft.value).toBe("shared");
  expect(two.store.feed.topicId.value).toBe(data.id("T", 2));
});

test("another model keeps what it takes and names the rest", async () => {
  const page = await openPage();
  page.store.desk.set({ seed: "7", width: 640, height: 320, n: 6, negative_prompt: "people" });
  page.store.desk.setParam("steps", 12);
  page.store.desk.setParam("palette", 0.2);
  page.store.desk.set({ model: "lantern/turbo" });
  expect(page.store.desk.config.value).toMatchObject({ model: "lantern/turbo", n: 4, seed: null, width: 640, height: 1024, negative_prompt: "" });
  expect(page.store.desk.config.value.params).toEqual({ steps: 12, raw: false });
  expect(page.store.desk.dropped.value).toEqual(["Images", "Seed", "Negative prompt", "Height", "Palette"]);
  expect(page.store.desk.model.value?.title).toBe("Lantern Turbo");
  // Two messages: what was for the model before cannot be refused for the new one.
  await pass(400);
  const told = sent(page, "desk.set").map((message) => message.args["config"] as Partial<Config>);
  expect(told).toMatchObject([{ n: 6, seed: "7" }, { model: "lantern/turbo" }]);
  expect(told[1]).not.toHaveProperty("n");
});

test("a model that somebody else chose takes the sentence of another change with it", async () => {
  const page = await openPage();
  const first = page.kernel.desk.config;
  page.store.desk.set({ seed: "7" });
  page.store.desk.set({ model: "lantern/turbo" });
  await pass(400);
  expect(page.store.desk.dropped.value).toEqual(["Seed"]);
  push(page, { config: { ...first, model: "sketch" }, remark: "Sketch does not take over: raw." });
  expect(page.store.desk.dropped.value).toEqual([]);
  expect(page.store.desk.remark.value).toBe("Sketch does not take over: raw.");
});

test("a default of the model before is no choice to keep", () => {
  const [sketch, lantern] = data.MODELS as [ModelInfo, ModelInfo];
  const { changes, dropped } = fitTo(data.startConfig(), sketch, lantern);
  expect(changes.params).toEqual({ steps: 8, raw: false });
  expect([changes.width, changes.height]).toEqual([1024, 1024]);
  expect(dropped).toEqual([]);
});

test("with the ratio locked one side moves the other, to what the model takes", async () => {
  const page = await openPage();
  page.store.desk.set({ width: 768, height: 512 });
  page.store.desk.set({ ratio_lock: true });
  page.store.desk.set({ width: 1024 });
  expect(page.store.desk.config.value).toMatchObject({ width: 1024, height: 704 });
  const height = data.MODELS[0]?.parameters.find((one) => one.name === "height");
  expect(nearest(height as NonNullable<typeof height>, 5000)).toBe(1024);
});
