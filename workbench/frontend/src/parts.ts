/** The front end in parts: the root is there when a widget is, the others come when they are needed.
 *
 *  A page has no address to fetch them from, so the kernel sends them (operation `bundle`), each once
 *  for all widgets of the page. Where all of it is one file (tests, the development page, a page
 *  that cannot import what the kernel sends) the parts are in it.
 */

import { batch, effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";

import { isAborted, isPassing, reasonOf, WorkbenchError } from "./errors";
import { linked, unpacked } from "./linking";
import type { Answer, CallOptions } from "./requests";
import { addPartStyles } from "./styles";
import { t } from "./texts";

export interface Modules {
  feed: typeof import("./parts/feed");
  settings: typeof import("./parts/settings");
  topics: typeof import("./parts/topics");
  lightbox: typeof import("./parts/lightbox");
  dialogs: typeof import("./parts/dialogs");
}
export type PartName = keyof Modules;

/** What a widget shows: `now` is asked for with its hello, `later` when the page has come to rest,
 *  so that it opens at once, even if the kernel has become busy or died by then. */
export interface Needs { now: readonly PartName[]; later: readonly PartName[] }

/** A part that imports another one; build.mjs checks it. */
export const BUILDS_ON: { readonly [N in PartName]?: PartName } = { lightbox: "feed" };

/** Whether the parts are files of their own; build.mjs says so. */
declare const SPLIT: boolean | undefined;
const INSIDE: { [N in PartName]: () => Promise<Modules[N]> } | null =
  typeof SPLIT === "undefined"
    ? {
        feed: () => import("./parts/feed"),
        settings: () => import("./parts/settings"),
        topics: () => import("./parts/topics"),
        lightbox: () => import("./parts/lightbox"),
        dialogs: () => import("./parts/dialogs"),
      }
    : null;

/** When a question that was not answered is repeated; a late answer still counts. */
const AGAIN_MS = [3000, 8000, 20_000];
const PATIENCE_MS = 600_000; // a kernel may be busy for minutes
/** After it another widget of the page asks as well: its kernel may be another, and free. */
const TURN_MS = 6000;
/** When something that went wrong is tried again. */
const REST_MS = [500, 1000, 3000, 8000, 20_000];
/** How long pictures may hold up what comes later, and how often they are looked at. */
const SETTLE_MS = 5000;
const LOOK_MS = 200;

/** What this page has of a part, for all its widgets. */
export class Slot<M = unknown> {
  readonly module = signal<M | null>(null);
  /** Whose turn it is to ask. */
  readonly asker = signal<object | null>(null);
  readonly there: Promise<M>;
  private arrived: (module: M) => void = () => undefined;

  constructor() {
    this.there = new Promise((resolve) => (this.arrived = resolve));
  }

  put(module: M): void {
    if (this.module.peek() !== null) return;
    this.arrived(module);
    this.module.value = module;
  }
}

export class Slots {
  private readonly made = new Map<PartName, Slot>();

  of<N extends PartName>(name: N): Slot<Modules[N]> {
    let slot = this.made.get(name);
    if (slot === undefined) this.made.set(name, (slot = new Slot()));
    return slot as Slot<Modules[N]>;
  }
}

/** This module is once in the page for all widgets of one version, and so are these. */
export const page = new Slots();
/** The names that parts import others by, and where those are. */
const urls = new Map([["./workbench-root.js", import.meta.url]]);

export type Bring = (name: PartName, slots: Slots, stop: AbortSignal) => Promise<unknown>;
type Call = (op: "bundle", args: object, options: CallOptions) => Promise<Answer<unknown>>;

/** From this very file, or from the kernel. */
export function bringer(call: Call, hash: string): Bring {
  if (INSIDE) return (name) => INSIDE[name]();
  return (name, slots, stop) => fromKernel(call, hash, name, slots, stop);
}

export async function fromKernel(
  call: Call,
  hash: string,
  name: PartName,
  slots: Slots,
  stop: AbortSignal,
): Promise<unknown> {
  const base = BUILDS_ON[name];
  const options = { signal: stop, againMs: AGAIN_MS, patienceMs: PATIENCE_MS };
  const { buffers } = await call("bundle", { hash, part: name }, options);
  const [packed] = buffers;
  if (!packed) throw new WorkbenchError("internal", t("error.part", { name }));
  const files = await unpacked(packed as DataView<ArrayBuffer>);
  if (base) await slots.of(base).there;
  return linked(files, urls);
}

/** The parts, as one widget needs them. */
export class Parts {
  /** Why a part does not come, where waiting will not help; "" = it is there or on its way. */
  readonly trouble = signal<ReadonlyMap<PartName, string>>(new Map());
  private readonly wanted = new Map<PartName, () => void>();
  /** Ends the rest that follows upon a failure. */
  private readonly resting = new Set<() => void>();
  private readonly ending = new AbortController();
  private first: readonly PartName[] = [];

  constructor(private readonly bring: Bring, private readonly slots: Slots = page) {}

  /** The module of a part, once it is there. */
  of<N extends PartName>(name: N): ReadonlySignal<Modules[N] | null> {
    return this.slots.of(name).module;
  }

  /** Whether all is there that the widget shows at once. */
  get complete(): boolean {
    return this.first.every((name) => this.of(name).value !== null);
  }

  /** Ask for what is shown at once; for the rest when `ready` says so and the page is at rest. */
  begin({ now, later }: Needs, ready: () => boolean, isBusy: () => boolean): void {
    this.first = now;
    now.forEach((name) => this.need(name));
    if (later.length === 0) return;
    const stop = effect(() => {
      if (!ready() || !this.complete) return;
      untracked(() => atRest(isBusy, () => later.forEach((name) => this.need(name)), this.ending.signal));
      queueMicrotask(() => stop());
    });
    this.ending.signal.addEventListener("abort", stop);
  }

  need(name: PartName): void {
    const base = BUILDS_ON[name];
    if (base) this.need(base);
    if (this.ending.signal.aborted || this.wanted.has(name)) return;
    if (this.of(name).peek() === null) this.wanted.set(name, this.follow(name));
  }

  /** The connection is back, or a person asks: what failed is tried again now. */
  again(): void {
    for (const end of [...this.resting]) end();
  }

  dispose(): void {
    this.ending.abort();
    for (const stop of this.wanted.values()) stop();
    this.again();
  }

  /** Ask for a part until it is there: one widget of the page does, and the others wait for it. */
  private follow(name: PartName): () => void {
    const { module, asker } = this.slots.of(name);
    const idle = signal(true);
    const own = new AbortController();
    this.ending.signal.addEventListener("abort", () => own.abort());
    let failures = 0;
    const ask = async (): Promise<void> => {
      idle.value = false;
      asker.value = this;
      const turn = setTimeout(() => this.pass(asker), TURN_MS);
      try {
        this.arrived(name, await this.bring(name, this.slots, own.signal));
      } catch (error) {
        clearTimeout(turn);
        this.pass(asker);
        if (isAborted(error) || module.peek() !== null) return;
        this.failed(name, error);
        await this.rest(REST_MS[Math.min(failures++, REST_MS.length - 1)] as number);
        idle.value = true;
      } finally {
        clearTimeout(turn);
        this.pass(asker);
      }
    };
    return effect(() => {
      if (module.value !== null) own.abort();
      else if (idle.value && asker.value === null && !own.signal.aborted) untracked(() => void ask());
    });
  }

  private pass(asker: Signal<object | null>): void {
    if (asker.peek() === this) asker.value = null;
  }

  private arrived<N extends PartName>(name: N, module: unknown): void {
    const made = module as Modules[N];
    addPartStyles(name, made.styles);
    batch(() => {
      this.slots.of(name).put(made);
      this.say(name, "");
    });
  }

  private failed(name: PartName, error: unknown): void {
    if (isPassing(error)) return this.say(name, "");
    console.warn(`image-workbench: the part ${name} did not come`, error);
    this.say(name, reasonOf(error));
  }

  private say(name: PartName, text: string): void {
    if ((this.trouble.peek().get(name) ?? "") === text) return;
    this.trouble.value = new Map(this.trouble.peek()).set(name, text);
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.resting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.resting.add(end);
    });
  }
}

/** When the page has nothing better to do: the first pictures are drawn, and the browser is idle. */
function atRest(isBusy: () => boolean, then: () => void, stop: AbortSignal): void {
  const begun = Date.now();
  const look = (): void => {
    if (stop.aborted) return;
    if (isBusy() && Date.now() - begun < SETTLE_MS) setTimeout(look, LOOK_MS);
    else if ("requestIdleCallback" in globalThis) requestIdleCallback(() => stop.aborted || then(), { timeout: LOOK_MS });
    else then();
  };
  // Not at once: what has just come is not drawn yet, and has not asked for its pictures.
  setTimeout(look, LOOK_MS);
}
