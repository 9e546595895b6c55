import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { WorkbenchError } from "../src/errors";
import { closeAll, joinPage, openPage, pass, sent, settled } from "./harness";
import { StubKernel } from "../dev/stub_kernel";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

const topic = data.id("T", 1);

test("hello is repeated until it is answered, and with the same rid", async () => {
  const kernel = new StubKernel({ latency: 5 });
  kernel.drop = () => true;
  const page = await joinPage(kernel);
  await pass(3100);
  expect(sent(page, "hello").length).toBe(4); // 0, 0.7, 1.5, 3 s
  expect(new Set(sent(page, "hello").map((message) => message.rid)).size).toBe(1);
  expect(page.store.hello.value).toBeNull();
  kernel.drop = () => false;
  await pass(4000);
  expect(page.store.hello.value).not.toBeNull();
  expect(page.store.link.value).toBe("live");
});

test("a refused hello says why, and can be tried again", async () => {
  const page = await openPage({ state: "error" });
  expect(page.store.failure.value?.message).toContain("read-only");
  Object.assign(page.kernel, { state: "normal" });
  page.store.retry();
  await pass(1000);
  expect(page.store.failure.value).toBeNull();
  expect(page.store.link.value).toBe("live");
});

test("pings and probes are answered inside the message handler", async () => {
  const page = await openPage();
  page.model.sent.length = 0;
  page.model.deliver({ push: "ping", to: null, n: 7, at: Date.now() });
  page.model.deliver({ push: "probe", to: null, n: 8 });
  expect(sent(page, "pong").map((message) => message.args)).toEqual([{ n: 7 }]);
  expect(sent(page, "probe").map((message) => message.args)).toEqual([{ n: 8 }]);
});

test("what is addressed to another page is not for this one", async () => {
  const page = await openPage();
  const before = page.store.queue.value;
  page.model.sent.length = 0;
  page.model.deliver({ push: "delta", to: "somebody-else", prev: "c100", cursor: "c200", more: false, reset: false, rows: [{ e: "queue", id: "queue", k: "put", rev: 1, d: { paused: true } }] });
  page.model.deliver({ rid: "1", to: "somebody-else", ok: true, data: {} });
  expect(page.store.queue.value).toBe(before);
  expect(page.model.sent).toEqual([]);
});

test("a delta is applied and acknowledged, and the same one again changes nothing", async () => {
  const page = await openPage();
  const deltas: Record<string, unknown>[] = [];
  page.kernel.drop = (direction, message) => {
    if (direction === "out" && message["push"] === "delta") deltas.push(structuredClone(message));
    return false;
  };
  page.kernel.setPaused(true);
  await pass(100);
  expect(page.store.queue.value.paused).toBe(true);
  expect(sent(page, "ack").length).toBe(1);
  const value = page.store.queue.value;
  page.model.deliver(deltas[0] as never);
  await pass(100);
  expect(page.store.queue.value).toEqual(value);
  expect(sent(page, "since").length).toBe(0);
});

test("after a lost delta the page asks for what it missed since its cursor", async () => {
  const page = await openPage();
  page.kernel.drop = (direction, message) => direction === "out" && message["push"] === "delta";
  page.kernel.spend(-5_000_000, "spent");
  await pass(200);
  expect(page.store.balances.value.get("token")?.amount_micro).toBe(1_250_000_000);
  page.kernel.drop = () => false;
  // The kernel believes that the lost one arrived.
  page.model.send({ op: "ack", rid: "x", client: sentClient(page), args: { cursor: `c${page.kernel.seq}` } });
  await pass(20);
  page.kernel.setPaused(true);
  await pass(300);
  expect(sent(page, "since").length).toBe(1);
  expect(page.store.balances.value.get("token")?.amount_micro).toBe(1_245_000_000);
  expect(page.store.queue.value.paused).toBe(true);
  expect(page.store.link.value).toBe("live");
});

test("a cursor that is too old begins anew and keeps what is selected and loaded", async () => {
  const page = await openPage();
  await settled(page.store.feed.loadOlder());
  const loaded = page.store.feed.history.value;
  page.store.desk.select([data.id("G", 16)]);
  await pass(300);
  page.kernel.drop = (direction, message) => direction === "out" && message["push"] === "delta";
  page.kernel.spend(-1, "spent");
  await pass(100);
  page.kernel.drop = () => false;
  page.kernel.forget();
  page.model.send({ op: "ack", rid: "y", client: sentClient(page), args: { cursor: `c${page.kernel.seq}` } });
  await pass(20);
  page.kernel.setPaused(true);
  await pass(500);
  expect(sent(page, "hello").length).toBe(2);
  expect(page.store.feed.history.value).toEqual(loaded);
  expect(page.store.desk.selection.value).toEqual([data.id("G", 16)]);
  expect(page.store.link.value).toBe("live");
});

test("a click whose answer was lost is repeated and done once", async () => {
  const page = await openPage();
  let lost = 0;
  page.kernel.drop = (direction, message) => direction === "out" && message["rid"] !== undefined && lost++ < 1;
  const done = page.store.call<{ topic: { id: string } }>("topic.create", { title: "Once" });
  await pass(3200);
  const { topic: row } = await done;
  expect(sent(page, "topic.create").length).toBe(2);
  expect(new Set(sent(page, "topic.create").map((m) => m.rid)).size).toBe(1);
  expect([...page.kernel.topics.values()].filter((one) => one.title === "Once").map((one) => one.id)).toEqual([row.id]);
});

test("without an answer a click fails after 20 s with a sentence", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  const failed = page.store.call("pause").catch((error: unknown) => error);
  await pass(19_900);
  expect(sent(page, "pause").map((m) => m.rid).length).toBeGreaterThanOrEqual(3); // 0, 3, 8 s
  await pass(200);
  const error = await failed;
  expect(error).toBeInstanceOf(WorkbenchError);
  expect((error as WorkbenchError).code).toBe("no_answer");
});

test("an error of the kernel keeps its code, sentence and field", async () => {
  const page = await openPage({ state: "diskfull" });
  const failed = page.store.call("submit", { client_key: "k", prompt: "x" }).catch((error: unknown) => error);
  await pass(100);
  expect(await failed).toMatchObject({ code: "disk_full", message: expect.stringContaining("disk") as string });
});

test("giving up a request tells the kernel, and a late answer is ignored", async () => {
  const page = await openPage();
  const control = new AbortController();
  const failed = page.store.call("page", { topic_id: topic, cursor: data.id("B", 20), direction: "older" }, { signal: control.signal }).catch((error: unknown) => error);
  control.abort();
  expect(await failed).toMatchObject({ code: "aborted" });
  expect(sent(page, "abort").map((m) => m.args)).toEqual([{ request: sent(page, "page")[0]?.rid }]);
  await pass(100);
  const already = await page.store.call("page", {}, { signal: control.signal }).catch((error: unknown) => error);
  expect(already).toMatchObject({ code: "aborted" });
  expect(sent(page, "page").length).toBe(1);
});

test("the light goes out 2 s after the last ping and comes back with what was missed", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  await pass(1200);
  expect(page.store.link.value).toBe("live");
  await pass(1000);
  expect(page.store.link.value).toBe("offline");
  expect(page.store.linkNote.value).toBe("connection_lost");
  page.kernel.setPaused(true);
  page.kernel.drop = () => false;
  await pass(1500);
  expect(page.store.link.value).toBe("live");
  expect(page.store.linkNote.value).toBe("");
  expect(page.store.queue.value.paused).toBe(true);
});

test("a page that the kernel forgot is heard again", async () => {
  const page = await openPage();
  page.model.send({ op: "bye", rid: "z", client: sentClient(page), args: {} });
  await pass(20);
  page.kernel.setPaused(true);
  await pass(1000);
  expect(page.store.queue.value.paused).toBe(false);
  await pass(4000);
  expect(page.store.queue.value.paused).toBe(true);
  expect(page.store.link.value).toBe("live");
});

test("a silent connection is reconnected, ever more rarely", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  await pass(10_000);
  expect(page.model.kernel.reconnects).toBe(1);
  await pass(60_000);
  expect(page.model.kernel.reconnects).toBeLessThanOrEqual(4);
  expect(page.model.kernel.reconnects).toBeGreaterThanOrEqual(2);
});

test("a socket that is closed is reconnected soon, by one of several widgets", async () => {
  const page = await openPage();
  page.model.kernel.connectionStatus = "connecting";
  page.kernel.drop = () => true;
  await pass(4200);
  expect(page.model.kernel.reconnects).toBe(1);
  await pass(3000);
  expect(page.model.kernel.reconnects).toBe(2);
});

test("when the socket is back the page asks at once", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  await pass(3000);
  page.kernel.drop = () => false;
  const before = sent(page, "since").length;
  page.model.kernel.connectionStatusChanged.emit("connected");
  expect(sent(page, "since").length).toBe(before + 1);
});

test("a dead kernel is said so, requests end, and a ping brings it back to life", async () => {
  const page = await openPage();
  const waiting = page.store.call("prompts").catch((error: unknown) => error);
  page.kernel.drop = () => true;
  page.model.die();
  expect(page.store.link.value).toBe("dead");
  expect(page.store.linkNote.value).toBe("kernel_restarted");
  expect(await waiting).toMatchObject({ code: "disconnected" });
  expect(await page.store.call("prompts").catch((error: unknown) => error)).toMatchObject({ code: "disconnected" });
  await pass(120_000);
  const count = page.model.sent.length;
  await pass(120_000);
  expect(page.model.sent.length).toBe(count); // it does not knock for ever
  page.kernel.drop = () => false;
  await pass(2000);
  expect(page.store.link.value).toBe("live");
});

test("a kernel that the host has given up is said so at once", async () => {
  const page = await openPage();
  page.kernel.drop = () => true;
  page.model.kernel.disposed.emit();
  expect(page.store.link.value).toBe("dead");
  expect(page.store.linkNote.value).toBe("kernel_dead");
});

test("closing the widget in Python ends it", async () => {
  const page = await openPage();
  page.model.deliver({ push: "closed", to: null });
  expect(page.store.link.value).toBe("dead");
  expect(page.store.linkNote.value).toBe("widget_closed");
});

test("a closed page says goodbye and leaves nothing running", async () => {
  const page = await openPage();
  const timers = vi.getTimerCount();
  page.store.dispose();
  expect(sent(page, "bye").length).toBe(1);
  page.kernel.close();
  await pass(100);
  expect(vi.getTimerCount()).toBe(0);
  expect(timers).toBeGreaterThan(0);
  const count = page.model.sent.length;
  page.model.deliver({ push: "ping", to: null, n: 1, at: 0 });
  expect(page.model.sent.length).toBe(count);
});

test("notices become toasts, lasting ones stay, and Python opens the lightbox", async () => {
  const page = await openPage();
  page.kernel.notice("busy", "Too much at once.", "error");
  page.kernel.notice("disk_full", "The disk is full.", "error");
  page.model.deliver({ push: "open", to: null, generation_id: "G" });
  await pass(50);
  expect(page.store.toasts.value).toMatchObject([{ text: "Too much at once.", level: "error" }]);
  expect(page.store.notices.value.get("disk_full")).toMatchObject({ message: "The disk is full." });
  expect(page.store.lightbox.value).toBe("G");
});

test("a notice without words takes back what is true no more", async () => {
  const page = await openPage();
  page.kernel.notice("disk_full", "The disk is full.", "error");
  await pass(50);
  expect(page.store.notices.value.size).toBe(1);
  page.kernel.notice("disk_full", "", "info");
  await pass(50);
  expect(page.store.notices.value.size).toBe(0);
  expect(page.store.toasts.value).toEqual([]);
});

test("nonsense from the wire is ignored", async () => {
  const page = await openPage();
  for (const message of [null, 3, {}, { push: "what" }, { rid: "nope", to: sentClient(page), ok: true }]) {
    page.model.deliver(message as never);
  }
  expect(page.store.link.value).toBe("live");
});

function sentClient(page: { model: { sent: Record<string, unknown>[] } }): string {
  return String(page.model.sent[0]?.["client"]);
}
