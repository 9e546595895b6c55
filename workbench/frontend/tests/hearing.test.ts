import { describe, expect, it } from "vitest";

import { hearAgain } from "../src/hearing";

type Listener = (...args: unknown[]) => void;

/** As ipywidgets and anywidget have it: the model below, and one that drops what it is told. */
class Below {
  heard: unknown[] = [];
  comm = {
    deliver: (_message: unknown): void => undefined,
    on_msg(callback: (message: unknown) => void): void {
      this.deliver = callback;
    },
  };
  listeners = new Map<string, Set<Listener>>();
  constructor() {
    this.comm.on_msg((message) => this._handle_comm_msg(message));
  }
  _handle_comm_msg(message: unknown): void {
    this.heard.push(message);
  }
  on(event: string, callback: Listener): void {
    const known = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, known.add(callback));
  }
  off(event: string, callback: Listener): void {
    this.listeners.get(event)?.delete(callback);
  }
  set(name: string, value: unknown): void {
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener(this, value);
  }
}
class Deaf extends Below {
  override _handle_comm_msg(): void {
    /* `await runtime.ready` has failed */
  }
}

/** What a widget is given of a model: bound methods, and no way to the model itself. */
function proxy(model: Below) {
  return {
    on: model.on.bind(model),
    off: model.off.bind(model),
    set: model.set.bind(model),
  };
}

describe("a model whose host has given up on it", () => {
  it("hears again", () => {
    const model = new Deaf();
    model.comm.deliver("lost");
    expect(hearAgain(proxy(model))).toBe(true);
    model.comm.deliver("one");
    expect(hearAgain(proxy(model))).toBe(true);
    model.comm.deliver("two");
    expect(model.heard).toEqual(["one", "two"]);
    expect([...model.listeners.values()].every((known) => known.size === 0)).toBe(true);
  });

  it("is left alone where the host hears by itself, or is another host", () => {
    expect(hearAgain(proxy(new Below()))).toBe(false);
    const other = { on: () => undefined, off: () => undefined };
    expect(hearAgain(other)).toBe(false);
    expect(hearAgain({ ...other, set: () => undefined })).toBe(false);
  });
});
