import { gzipSync } from "node:zlib";

import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { WorkbenchError } from "../src/errors";
import { linked, unpacked } from "../src/linking";
import { type Bring, fromKernel, type Needs, type PartName, Parts, Slots } from "../src/parts";
import { late } from "../src/ui/late";
import { closeAll, openPage, pass, prepare, sent } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const part = (name: string) => ({ name, styles: [`.wbx-test-${name} {}`] });

/** A kernel that answers when it is told to. */
class Kernel {
  readonly asked: PartName[] = [];
  private readonly open: { name: PartName; resolve(module: unknown): void; reject(error: unknown): void }[] = [];

  readonly bring: Bring = (name, _slots, stop) =>
    new Promise((resolve, reject) => {
      this.asked.push(name);
      this.open.push({ name, resolve, reject });
      stop.addEventListener("abort", () => reject(WorkbenchError.here("aborted")));
    });

  async send(name: PartName): Promise<void> {
    for (const one of this.open.splice(0)) if (one.name === name) one.resolve(part(name));
    await pass(0);
  }

  async refuse(error: unknown): Promise<void> {
    for (const one of this.open.splice(0)) one.reject(error);
    await pass(0);
  }
}

const never = (): boolean => false;
const always = (): boolean => true;
const only = (...now: PartName[]): Needs => ({ now, later: [] });

describe("parts of a page", () => {
  it("are asked for once, whichever widgets need them, and then are there for all", async () => {
    const [kernel, slots] = [new Kernel(), new Slots()];
    const [one, two] = [new Parts(kernel.bring, slots), new Parts(kernel.bring, slots)];
    one.begin(only("feed", "topics"), always, never);
    two.begin(only("feed"), always, never);
    expect(kernel.asked).toEqual(["feed", "topics"]);
    expect([one.complete, two.complete]).toEqual([false, false]);
    await kernel.send("feed");
    expect(two.of("feed").value).toMatchObject({ name: "feed" });
    expect([one.complete, two.complete]).toEqual([false, true]);
    new Parts(kernel.bring, slots).need("feed");
    await pass(60_000);
    expect(kernel.asked.filter((name) => name === "feed")).toEqual(["feed"]);
  });

  it("go on being asked for by another widget when the one that asked is closed", async () => {
    const [gone, kernel, slots] = [new Kernel(), new Kernel(), new Slots()];
    const one = new Parts(gone.bring, slots);
    const two = new Parts(kernel.bring, slots);
    one.begin(only("feed"), always, never);
    two.begin(only("feed"), always, never);
    expect(kernel.asked).toEqual([]);
    one.dispose();
    await pass(0);
    expect(kernel.asked).toEqual(["feed"]);
    await kernel.send("feed");
    expect(two.complete).toBe(true);
    expect(gone.asked).toEqual(["feed"]);
  });

  it("are asked for elsewhere too when a kernel is long busy, and its late answer counts", async () => {
    const [busy, free, slots] = [new Kernel(), new Kernel(), new Slots()];
    const one = new Parts(busy.bring, slots);
    const two = new Parts(free.bring, slots);
    one.begin(only("feed"), always, never);
    two.begin(only("feed"), always, never);
    await pass(5000);
    expect(free.asked).toEqual([]);
    await pass(5000);
    expect([busy.asked, free.asked]).toEqual([["feed"], ["feed"]]);
    await busy.send("feed");
    expect([one.complete, two.complete]).toEqual([true, true]);
  });

  it("that failed come with another attempt, at once when the connection is back", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const [kernel, slots] = [new Kernel(), new Slots()];
    const parts = new Parts(kernel.bring, slots);
    parts.begin(only("feed"), always, never);
    await kernel.refuse(WorkbenchError.here("no_answer"));
    expect(parts.trouble.value.get("feed") ?? "").toBe("");
    await pass(600);
    expect(kernel.asked.length).toBe(2);
    await kernel.refuse(new WorkbenchError("invalid_request", "Load the page again."));
    expect(parts.trouble.value.get("feed")).toBe("Load the page again.");
    parts.again();
    await pass(0);
    expect(kernel.asked.length).toBe(3);
    await kernel.send("feed");
    expect(parts.complete).toBe(true);
    expect(parts.trouble.value.get("feed")).toBe("");
    expect(console.warn).toHaveBeenCalledOnce(); // of what will not go by itself
  });

  it("that a click opens are asked for when the first pictures are drawn", async () => {
    const [kernel, slots] = [new Kernel(), new Slots()];
    const parts = new Parts(kernel.bring, slots);
    let busy = true;
    parts.begin({ now: ["feed"], later: ["lightbox", "dialogs"] }, always, () => busy);
    await pass(3000);
    expect(kernel.asked).toEqual(["feed"]);
    await kernel.send("feed");
    await pass(1000);
    expect(kernel.asked).toEqual(["feed"]);
    busy = false;
    await pass(1000);
    expect(kernel.asked).toEqual(["feed", "lightbox", "dialogs"]);
  });

  it("bring what they build on", () => {
    const kernel = new Kernel();
    new Parts(kernel.bring, new Slots()).need("lightbox");
    expect(kernel.asked).toEqual(["feed", "lightbox"]);
  });
});

describe("a part from the kernel", () => {
  /** Where Blob URLs cannot be imported (node): the same bytes as a data URL. */
  function importable(): void {
    const texts = new WeakMap<Blob, string>();
    const Real = Blob;
    vi.stubGlobal("Blob", class extends Real {
      constructor(parts: BlobPart[], options?: BlobPropertyBag) {
        super(parts, options);
        texts.set(this, String(parts[0]));
      }
    });
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => `data:text/javascript,${encodeURIComponent(texts.get(blob as Blob) ?? "")}`);
    vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  }
  const packed = (files: [string, string][]): DataView<ArrayBuffer> => {
    const bytes = Uint8Array.from(gzipSync(JSON.stringify(files)));
    return new DataView(bytes.buffer);
  };

  it("is unpacked, and shares the modules that it imports", async () => {
    vi.useRealTimers();
    importable();
    const urls = new Map<string, string>();
    const root = (await linked([["./root.js", "export const shared = { times: 0 };"]], urls)) as { shared: { times: number } };
    const use = (name: string): [string, string] => [`./${name}.js`, `import{shared as s}from"./root.js";s.times+=1;export const name="${name}";`];
    const first = await linked(await unpacked(packed([use("feed")])), urls);
    const second = await linked([["./words.js", 'export const more="x";'], ["./topics.js", `import{more}from"./words.js";${use("topics")[1]}export{more};`]], urls);
    expect(first).toMatchObject({ name: "feed" });
    expect(second).toMatchObject({ name: "topics", more: "x" });
    expect(root.shared.times).toBe(2);
    expect(URL.revokeObjectURL).not.toHaveBeenCalled();
  });

  it("that is broken is forgotten, so that the next attempt begins anew", async () => {
    vi.useRealTimers();
    importable();
    const urls = new Map<string, string>();
    await expect(linked([["./feed.js", "export const name ="]], urls)).rejects.toThrow();
    expect(urls.size).toBe(0);
    expect(URL.revokeObjectURL).toHaveBeenCalledOnce();
    await expect(linked([["./feed.js", "export const name = 1;"]], urls)).resolves.toMatchObject({ name: 1 });
    await expect(unpacked(new DataView(new ArrayBuffer(4)))).rejects.toThrow();
  });

  it("waits for the one that it builds on, whichever comes first", { timeout: 120_000 }, async () => {
    const slots = new Slots();
    const call = vi.fn(async () => ({ data: {}, buffers: [packed([["./lightbox.js", "export {};"]])] }));
    let came = false;
    const bring = fromKernel(call, "hash", "lightbox", slots, new AbortController().signal);
    bring.then(() => (came = true), () => (came = true));
    vi.useRealTimers();
    await vi.waitFor(() => expect(call).toHaveBeenCalledWith("bundle", { hash: "hash", part: "lightbox" }, expect.objectContaining({ againMs: expect.anything() })), 45_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(came).toBe(false);
    slots.of("feed").put(part("feed") as never);
    await vi.waitFor(() => expect(came).toBe(true), 45_000);
  });

  it("is asked for again as long as no answer comes, and is refused with a reason", async () => {
    const page = await openPage({ state: "loading" });
    const ask = (): Promise<unknown> => page.store.ask("bundle", { part: "feed" }, { againMs: [1000, 3000], patienceMs: 600_000 });
    const asked = ask();
    asked.catch(() => undefined);
    await pass(30_000);
    expect(sent(page, "bundle").map(({ rid }) => rid)).toEqual(Array(3).fill(sent(page, "bundle")[0]!.rid));
    page.model.deliver({ rid: sent(page, "bundle")[0]!.rid, to: page.model.sent[0]!["client"], ok: false, error: { code: "invalid_request", message: "must be one of feed." } });
    await expect(asked).rejects.toThrow("must be one of feed.");
  });
});

describe("a component of a part", () => {
  it("has something in its place until the part is there, and a sentence where it cannot come", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const [kernel, slots] = [new Kernel(), new Slots()];
    const parts = new Parts(kernel.bring, slots);
    const store = { parts } as never;
    const Late = late<"feed", { store: never }>("feed", () => () => <b>here</b>, () => <i>soon</i>);
    const el = document.createElement("div");
    render(<Late store={store} />, el);
    expect(el.textContent).toBe("soon");
    await kernel.refuse(new WorkbenchError("invalid_request", "Load the page again."));
    await pass(50);
    expect(el.textContent).toContain("Load the page again.");
    el.querySelector("button")!.click();
    await pass(50);
    await kernel.send("feed");
    await pass(50);
    expect(el.textContent).toBe("here");
    render(null, el);
  });
});
