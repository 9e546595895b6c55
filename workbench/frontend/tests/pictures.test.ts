import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { WorkbenchError } from "../src/errors";
import { Pictures } from "../src/pictures";
import type { PictureAnswer } from "../src/protocol";
import type { Answer } from "../src/requests";

interface Asked { op: string; ids: string[]; size: number | undefined; signal: AbortSignal | undefined; answer(broken?: string[]): void; fail(error: unknown): void }
let asked: Asked[];
let urls: Set<string>;
let pictures: Pictures;

const of = (id: string): { id: string; asset: { id: string } } => ({ id, asset: { id: `asset-${id}` } });
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  urls = new Set();
  let count = 0;
  vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
    urls.add(`blob:${++count}`);
    return `blob:${count}`;
  });
  vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void urls.delete(url));
  pictures = new Pictures((op, args, options) => new Promise((resolve, reject) => {
    const { ids, size } = args as { ids: string[]; size?: number };
    const signal = options?.signal;
    signal?.addEventListener("abort", () => reject(WorkbenchError.here("aborted")));
    asked.push({
      op, ids, size, signal,
      fail: reject,
      answer: (broken = []) => {
        const items = ids.map((id) => (broken.includes(id) ? { id, error: "It cannot be read." } : { id, asset_id: `asset-${id}`, mime: "image/webp" }));
        const buffers = ids.filter((id) => !broken.includes(id)).map(() => new DataView(new ArrayBuffer(1000)));
        const data: PictureAnswer = { items };
        resolve({ data, buffers } as Answer<never>);
      },
    });
  }));
});
afterEach(() => {
  pictures.dispose();
  vi.useRealTimers();
});

const shown = (id: string, size: 256 | 768 = 256) => pictures.thumb(of(id), size).shown.value;

test("what is asked for within 8 ms goes in one request, 12 at most, three at a time", async () => {
  for (let i = 0; i < 100; i++) pictures.use(pictures.thumb(of(`g${i}`), 256));
  expect(asked.length).toBe(0);
  await pass(10);
  expect(asked.map((request) => request.ids.length)).toEqual([12, 12, 12]);
  asked[0]?.answer();
  await pass(10);
  expect(asked.length).toBe(4);
  expect(shown("g0")).toMatchObject({ state: "ready" });
  expect(shown("g99").state).toBe("loading");
});

test("one picture for several places, and one request", async () => {
  const first = pictures.use(pictures.thumb(of("g"), 256));
  pictures.use(pictures.thumb(of("g"), 256));
  await pass(10);
  expect(asked.map((request) => request.ids)).toEqual([["g"]]);
  asked[0]?.answer();
  await pass(1);
  first();
  expect(urls.size).toBe(1);
  expect(shown("g").state).toBe("ready");
});

test("what is scrolled away before it is asked for is not asked for; on its way it is given up", async () => {
  const stops = ["a", "b"].map((id) => pictures.use(pictures.thumb(of(id), 256)));
  stops[0]?.();
  await pass(10);
  expect(asked[0]?.ids).toEqual(["b"]);
  stops[1]?.();
  expect(asked[0]?.signal?.aborted).toBe(true);
  await pass(10);
  expect(shown("b").state).toBe("none");
});

test("what is out of view waits for what is in it", async () => {
  const at = (top: number) => ({ current: { getBoundingClientRect: () => ({ top, bottom: top + 10 }) } as unknown as Element });
  for (let i = 0; i < 4; i++) pictures.use(pictures.thumb(of(`below${i}`), 256), at(innerHeight + 50 * i + 50));
  pictures.use(pictures.thumb(of("seen"), 256), at(20));
  await pass(10);
  expect(asked.map((request) => request.ids)).toEqual([["seen"]]);
  asked[0]?.answer();
  await pass(10);
  expect(asked[1]?.ids).toEqual(["below0", "below1", "below2", "below3"]);
});

test("the nearest to the middle of the view comes first", async () => {
  const at = (top: number) => ({ current: { getBoundingClientRect: () => ({ top, bottom: top + 10 }) } as Element });
  for (let i = 0; i < 60; i++) pictures.use(pictures.thumb(of(`far${i}`), 256), at(5000 + i));
  pictures.use(pictures.thumb(of("near"), 256), at(innerHeight / 2));
  await pass(10);
  expect(asked[0]?.ids[0]).toBe("near");
});

test("what nobody shows is kept for a while, then its URL goes", async () => {
  const stops: (() => void)[] = [];
  for (let i = 0; i < 700; i++) stops.push(pictures.use(pictures.thumb(of(`g${i}`), 256)));
  for (let turn = 0; turn < 40; turn++) {
    await pass(10);
    for (const request of asked.splice(0)) request.answer();
  }
  expect(urls.size).toBe(700);
  for (const stop of stops) stop();
  expect(urls.size).toBe(500);
  expect(pictures.size).toBeLessThanOrEqual(500);
  expect(shown("g699").state).toBe("ready");
  pictures.dispose();
  expect(urls.size).toBe(0);
});

test("a picture that cannot be made is tried again, then it says so; a person may try once more", async () => {
  pictures.use(pictures.thumb(of("bad"), 256));
  pictures.use(pictures.thumb(of("good"), 256));
  await pass(10);
  asked[0]?.answer(["bad"]);
  await pass(900);
  asked[1]?.answer(["bad"]);
  await pass(4100);
  asked[2]?.answer(["bad"]);
  await pass(1);
  expect(shown("good").state).toBe("ready");
  expect(shown("bad").state).toBe("error");
  expect(asked.map((request) => request.ids)).toEqual([["bad", "good"], ["bad"], ["bad"]]);
  pictures.retry(of("bad"), 256);
  await pass(10);
  asked[3]?.answer();
  await pass(1);
  expect(shown("bad").state).toBe("ready");
});

test("without connection pictures wait for it and are no error", async () => {
  pictures.use(pictures.thumb(of("g"), 256));
  for (const wait of [10, 900, 4100]) {
    await pass(wait);
    asked.at(-1)?.fail(WorkbenchError.here("no_answer"));
  }
  await pass(10_000);
  expect(asked.length).toBe(3);
  expect(shown("g").state).toBe("loading");
  pictures.again();
  await pass(10);
  asked[3]?.answer();
  await pass(1);
  expect(shown("g").state).toBe("ready");
});

test("a newer preview takes the place of the one before, one request at a time", async () => {
  const entry = pictures.preview("g");
  const stop = pictures.use(entry);
  pictures.renew(entry, 1);
  await pass(10);
  pictures.renew(entry, 2);
  pictures.renew(entry, 3);
  await pass(10);
  expect(asked.length).toBe(1);
  asked[0]?.answer();
  await pass(10);
  const first = entry.shown.value.url;
  expect(first).not.toBeNull();
  expect(asked.length).toBe(2);
  asked[1]?.answer();
  await pass(10);
  expect(entry.shown.value.url).not.toBe(first);
  expect(asked.length).toBe(2);
  expect(urls.size).toBe(1);
  stop();
  expect(urls.size).toBe(0);
});
