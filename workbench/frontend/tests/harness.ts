/** A store on a stub kernel, under fake timers, and what is shown of it. */

import { type ComponentChildren, render } from "preact";
import { act } from "preact/test-utils";
import { vi } from "vitest";

import { StubKernel, type StubOptions } from "../dev/stub_kernel";
import type { StubModel } from "../dev/stub_model";
import { type Traits, traitsOf } from "../src/model";
import { Store } from "../src/store";

export interface Page { kernel: StubKernel; model: StubModel; store: Store; close(): void }

export const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** The result of a promise that needs time to pass. */
export async function settled<T>(promise: Promise<T>, ms = 200): Promise<T> {
  promise.catch(() => undefined);
  await pass(ms);
  return promise;
}

const open = new Set<Page>();
const mounted = new Set<HTMLElement>();

/** What a beforeEach calls where something is shown: fake timers, and what happy-dom lacks. */
export function prepare(): void {
  vi.useFakeTimers();
  globalThis.ResizeObserver ??= class { observe(): void {} unobserve(): void {} disconnect(): void {} } as never;
  Element.prototype.checkVisibility ??= () => true;
}

/** A page that has said hello and been answered (unless the kernel is told to be silent). */
export async function openPage(options: StubOptions = {}, widget = "Workbench"): Promise<Page> {
  const kernel = new StubKernel({ latency: 5, state: "quiet", ...options });
  return joinPage(kernel, widget);
}

export async function joinPage(kernel: StubKernel, widget = "Workbench"): Promise<Page> {
  const model = kernel.connect({ _widget: widget });
  const store = new Store(model);
  const page: Page = {
    kernel, model, store,
    close: () => {
      open.delete(page);
      store.dispose();
      kernel.close();
    },
  };
  open.add(page);
  await pass(1000);
  return page;
}

/** Shows it in an element of the document, until `closeAll`. */
export async function mount(what: ComponentChildren, el: HTMLElement = document.createElement("div")): Promise<HTMLElement> {
  el.className = "wbx";
  document.body.append(el);
  mounted.add(el);
  await act(() => render(what, el));
  return el;
}

/** The traits of a widget that were set to these in Python. */
export function traitsWith(values: Record<string, unknown> = {}): Traits {
  const known: Record<string, unknown> = { _widget: "Workbench", height: 0, hide_below: null, simple: false, controls: null, accent: "", ...values };
  return traitsOf({ get: (name) => known[name], on: () => undefined, off: () => undefined, send: () => undefined }).traits;
}

/** What an afterEach calls. */
export function closeAll(): void {
  for (const el of mounted) render(null, el);
  mounted.clear();
  document.body.replaceChildren();
  for (const page of open) page.close();
  vi.useRealTimers();
}

/** Messages of an op that the page has sent. */
export function sent(page: Page, op: string): { rid: string; args: Record<string, unknown> }[] {
  return page.model.sent.filter((message) => message["op"] === op) as never;
}

/** What is shown, top to bottom. */
export function shown(page: Page): string[] {
  return [...page.store.feed.active.value, ...page.store.feed.history.value];
}
