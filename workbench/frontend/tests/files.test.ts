import { afterEach, beforeEach, expect, test, vi } from "vitest";

import * as data from "../dev/stub_data";
import { readFile, saveBlob, upload } from "../src/files";
import { closeAll, openPage, pass, sent, settled } from "./harness";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

test("a large file comes in pieces, whole and in order, and is closed", async () => {
  const page = await openPage();
  const progress: number[] = [];
  const { blob, name } = await settled(readFile(page.store, "zip", data.id("B", 40), { onProgress: (part) => progress.push(part) }));
  expect(blob.size).toBe(2_600_000);
  expect(name).toMatch(/\.zip$/);
  expect(sent(page, "file.read").map((message) => message.args["offset"])).toEqual([0, 1_048_576, 2_097_152]);
  expect(progress.at(-1)).toBe(1);
  expect(sent(page, "file.close").length).toBe(1);
});

test("a download that is given up ends, and the file is closed", async () => {
  const page = await openPage();
  const control = new AbortController();
  const failed = readFile(page.store, "zip", data.id("B", 40), { signal: control.signal }).catch((error: unknown) => error);
  await pass(15);
  control.abort();
  expect(await failed).toMatchObject({ code: "aborted" });
  await pass(50);
  expect(sent(page, "file.close").length).toBe(1);
});

test("what is not there says so", async () => {
  const page = await openPage();
  await expect(settled(readFile(page.store, "original", "nothing"))).rejects.toMatchObject({ code: "not_found" });
});

test("an upload goes in pieces of at most 1 MiB, each after the last was taken", async () => {
  const page = await openPage();
  const bytes = new Uint8Array(2_500_000);
  const file = { size: bytes.length, slice: (from: number, to: number) => ({ arrayBuffer: () => Promise.resolve(bytes.slice(from, to).buffer) }) };
  const done = await settled(upload(page.store, file as unknown as Blob, "fox.png"), 500);
  expect(done.reference).toBeTruthy();
  expect(sent(page, "upload.chunk").map((message) => message.args["offset"])).toEqual([0, 1_048_576, 2_097_152]);
});

test("a file is handed to the browser under its name", () => {
  const clicked: string[] = [];
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:x");
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    clicked.push(`${this.download} ${this.href}`);
  });
  saveBlob(new Blob(["x"]), "fox.png");
  expect(clicked).toEqual(["fox.png blob:x"]);
  expect(document.querySelector("a")).toBeNull();
});
