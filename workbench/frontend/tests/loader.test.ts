import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import loader from "../src/loader";
import { shelf } from "../src/shared";

type Listener = (message: object, buffers?: DataView[]) => void;
interface Said { op: string; rid: string; client: string; args: { hash?: string } }

/** What anywidget hands over, for one model. */
class Model {
  said: Said[] = [];
  listeners = new Set<Listener>();
  constructor(readonly hash: string) {}
  get = (name: string): unknown => (name === "_hash" ? this.hash : undefined);
  send = (content: Said): void => void this.said.push(content);
  on = (_event: string, listener: Listener): void => void this.listeners.add(listener);
  off = (_event: string, listener: Listener): void => void this.listeners.delete(listener);
  hear(message: object, buffers?: DataView[]): void {
    for (const listener of [...this.listeners]) listener(message, buffers);
  }
  ops = (): string[] => this.said.map((message) => message.op);
}

function open(hash: string) {
  const model = new Model(hash);
  const el = document.createElement("div");
  const widget = loader();
  const end = widget.initialize({ model, el }) as () => void;
  return { model, el, widget, end, shown: widget.render({ model, el }) };
}

let count = 0;
let hash = "";
beforeEach(() => {
  vi.useFakeTimers();
  hash = `hash-${count++}`;
});
afterEach(() => void vi.useRealTimers());

const drawing = {
  initialize: () => undefined,
  render: ({ el }: { el: HTMLElement }) => void (el.textContent = "drawn"),
};

describe("a widget that has only the loader", () => {
  it("takes the bundle of another widget of the page and asks nobody", async () => {
    shelf(hash).give(() => drawing as never);
    const { model, el, shown } = open(hash);
    await vi.advanceTimersByTimeAsync(30_000);
    await shown;
    expect(el.textContent).toBe("drawn");
    expect(model.said).toEqual([]);
    expect(model.listeners.size).toBe(0);
  });

  it("waits a moment for the widget that carries the bundle", async () => {
    const { model, el, shown } = open(hash);
    await vi.advanceTimersByTimeAsync(80);
    shelf(hash).give(drawing as never);
    await shown;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(el.textContent).toBe("drawn");
    expect(model.said).toEqual([]);
  });

  it("asks the kernel, once for all, and says what it waits for", async () => {
    const one = open(hash);
    const two = open(hash);
    await vi.advanceTimersByTimeAsync(500);
    expect(one.model.said).toMatchObject([{ op: "bundle", rid: "bundle", args: { hash } }]);
    expect(two.model.said).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(two.model.ops()).toEqual(Array(4).fill("bundle")); // at 1, 3, 8 and 20 s
    expect(one.el.textContent).toContain("Waiting for the kernel");
    expect(one.el.getAttribute("role")).toBe("status");
    shelf(hash).give(drawing as never); // late, but it came
    await Promise.all([one.shown, two.shown]);
    expect([one.el.textContent, two.el.textContent]).toEqual(["drawn", "drawn"]);
    expect(one.el.hasAttribute("role")).toBe(false);
  });

  it("goes on asking when the one that asked was closed", async () => {
    const one = open(hash);
    const two = open(hash);
    await vi.advanceTimersByTimeAsync(200);
    one.end();
    await vi.advanceTimersByTimeAsync(1000);
    expect(one.model.ops()).toEqual(["bundle"]);
    expect(one.model.listeners.size).toBe(0);
    expect(two.model.ops()).toEqual(["bundle"]);
  });

  it("ignores answers to other pages, and shows why the kernel refused", async () => {
    const { model, el } = open(hash);
    await vi.advanceTimersByTimeAsync(200);
    const client = model.said[0]?.client;
    const error = { code: "busy", message: "The disk is full." };
    model.hear({ to: "somebody-else", rid: "bundle", ok: false, error: { message: "no" } });
    model.hear({ to: client, rid: "bundle", ok: false, error });
    await vi.advanceTimersByTimeAsync(6000);
    expect(el.textContent).toBe("The disk is full.");
  });

  it("asks for the whole bundle as its own module where a Blob cannot be imported", { timeout: 60_000 }, async () => {
    vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:nowhere/refused");
    const { model, el, end } = open(hash);
    await vi.advanceTimersByTimeAsync(200);
    const client = model.said[0]?.client;
    model.hear({ to: client, rid: "bundle", ok: true }, [new DataView(new ArrayBuffer(4))]);
    vi.useRealTimers();
    await vi.waitFor(() => expect(model.ops()).toEqual(["bundle", "full_esm"]), 45_000);
    vi.useFakeTimers();
    end(); // the host loads the new module
    el.textContent = "drawn by the whole bundle";
    shelf(hash).give(drawing as never);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(el.textContent).toBe("drawn by the whole bundle");
  });

  it("cleans up what the bundle set up for the model", async () => {
    const cleaned = vi.fn();
    shelf(hash).give({ ...drawing, initialize: () => cleaned } as never);
    const { shown, end } = open(hash);
    await shown;
    end();
    expect(cleaned).toHaveBeenCalledOnce();
  });

  it("says that a bundle fails", async () => {
    vi.spyOn(console, "error").mockReturnValue();
    shelf(hash).give({ ...drawing, render: () => { throw new Error("no canvas"); } } as never);
    const { shown, el } = open(hash);
    await shown;
    expect(el.textContent).toBe("This widget could not be loaded: no canvas. Run its cell again.");
  });
});
