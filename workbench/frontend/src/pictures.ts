/** Thumbnails and previews: asked for in small crowds, kept as Blob URLs, let go when there are many.
 *
 *  Pictures never travel in traits. What is nearest to the middle of the view comes first, and what
 *  is out of view waits for what is in it; what is scrolled away before it came is not asked for any
 *  more.
 */

import { batch as together, type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { isAborted, isPassing } from "./errors";
import { readFile } from "./files";
import type { GenerationRow, Op, PictureAnswer, TopicRow } from "./protocol";
import type { Answer, CallOptions } from "./requests";
import type { Store } from "./store";

export type Size = 256 | 768;
export type PictureState = "none" | "loading" | "ready" | "error";
export interface Picture { readonly url: string | null; readonly state: PictureState }
/** What a thumbnail is made of: a generation with a picture, or a topic's cover. */
export interface Pictured { id: string; asset: { id: string } | null }

const GATHER_MS = 8;
const MOST_AT_ONCE = { thumbs: 12, previews: 16 };
const MOST_REQUESTS = 3;
const KEPT = 500; // thumbnails that nobody shows at the moment
const KEPT_BYTES = 40 * 1024 * 1024;
const TRY_AGAIN_MS = [800, 4000];

const NOTHING: Picture = { url: null, state: "none" };
type Call = <T>(op: Op, args: object, options?: CallOptions) => Promise<Answer<T>>;
type Near = { current: Element | null };

interface Entry {
  readonly key: string;
  readonly kind: "thumbs" | "previews";
  readonly size: Size;
  /** A generation that shows it. */
  id: string;
  readonly shown: Signal<Picture>;
  users: number;
  bytes: number;
  tries: number;
  /** Of a preview: what is shown, and what there is. */
  have: number;
  want: number;
  near: Near | undefined;
  order: number;
  request: Request | null;
  /** Keeps the browser from forgetting what a thumbnail that nobody shows looks like: it would have
   *  to be read anew, and its card stand without a picture until then. */
  image?: HTMLImageElement;
}
/** `urgent`: thumbnails in view; those out of it wait. */
interface Request { entries: Set<Entry>; urgent: boolean; abort: AbortController }

export class Pictures {
  private readonly entries = new Map<string, Entry>(); // least recently used first
  private readonly queue = new Set<Entry>();
  /** Failed for now: they wait for the connection. */
  private readonly stranded = new Set<Entry>();
  private readonly requests = new Set<Request>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ticks = 0;
  private disposed = false;

  constructor(private readonly call: Call) {}

  thumb(of: Pictured, size: Size): Entry {
    return this.entry(`${of.asset?.id ?? of.id}:${size}`, "thumbs", size, of.id);
  }

  /** Without making room for it. */
  known(asset: string, size: Size): Entry | undefined {
    return this.entries.get(`${asset}:${size}`);
  }

  preview(id: string): Entry {
    return this.entry(`preview:${id}`, "previews", 256, id);
  }

  /** Somebody shows it: it is asked for, and kept. Returns how to let it go. */
  use(entry: Entry, near?: Near): () => void {
    entry.users += 1;
    if (near) entry.near = near;
    this.need(entry);
    return () => this.release(entry);
  }

  /** There is a newer preview. */
  renew(entry: Entry, version: number): void {
    entry.want = Math.max(entry.want, version);
    if (entry.users > 0) this.need(entry);
  }

  /** The connection is back. */
  again(): void {
    for (const entry of this.stranded) this.need(entry);
    this.stranded.clear();
  }

  /** What failed is tried again (a person asked for it). */
  retry(of: Pictured, size: Size): void {
    const entry = this.thumb(of, size);
    if (entry.shown.peek().state !== "error") return;
    entry.tries = 0;
    entry.shown.value = NOTHING;
    this.need(entry);
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.timer);
    this.timers.forEach(clearTimeout);
    for (const request of this.requests) request.abort.abort();
    for (const entry of this.entries.values()) revoke(entry);
    this.entries.clear();
    this.queue.clear();
  }

  /** Whether some are asked for, or will be. */
  get busy(): boolean {
    return this.queue.size + this.requests.size > 0;
  }

  /** How many are held; for tests. */
  get size(): number {
    return this.entries.size;
  }

  private entry(key: string, kind: Entry["kind"], size: Size, id: string): Entry {
    let entry = this.entries.get(key);
    if (!entry) {
      entry = {
        key, kind, size, id, shown: signal(NOTHING), users: 0, bytes: 0, tries: 0, have: 0,
        want: 0, near: undefined, order: 0, request: null,
      };
      this.entries.set(key, entry);
    }
    return entry;
  }

  private need(entry: Entry): void {
    if (this.disposed || entry.request || this.queue.has(entry)) return;
    const { state } = entry.shown.peek();
    if (state === "error") return;
    if (entry.kind === "thumbs" ? state === "ready" : entry.want <= entry.have) return;
    this.entries.set(entry.key, entry);
    if (state === "none") entry.shown.value = { url: null, state: "loading" };
    entry.order = this.ticks;
    this.queue.add(entry);
    this.soon();
  }

  private soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.ticks += 1;
      this.ask();
    }, GATHER_MS);
  }

  private ask(): void {
    while (this.queue.size && this.requests.size < MOST_REQUESTS) {
      const sorted = [...this.queue].map((entry) => ({ entry, ...place(entry) }));
      // The nearest first; where nothing is known of places, what was asked for last.
      sorted.sort((a, b) => a.away - b.away || b.entry.order - a.entry.order);
      const { entry: first, inView } = sorted[0] as (typeof sorted)[number];
      if (!inView && [...this.requests].some((request) => request.urgent)) return;
      const alike = sorted
        .filter((one) => one.inView === inView)
        .map(({ entry }) => entry)
        .filter((entry) => entry.kind === first.kind && entry.size === first.size)
        .slice(0, MOST_AT_ONCE[first.kind]);
      // Two pictures of one generation cannot be told apart in one answer.
      const unique = new Map(alike.map((entry) => [entry.id, entry]));
      const request: Request = {
        entries: new Set(unique.values()),
        urgent: inView && first.kind === "thumbs",
        abort: new AbortController(),
      };
      for (const entry of request.entries) {
        this.queue.delete(entry);
        entry.request = request;
      }
      this.requests.add(request);
      void this.fetch(first.kind, first.size, request);
    }
  }

  private async fetch(kind: Entry["kind"], size: Size, request: Request): Promise<void> {
    const entries = [...request.entries];
    const versions = new Map(entries.map((entry) => [entry, entry.want]));
    const ids = entries.map((entry) => entry.id);
    try {
      const args = kind === "thumbs" ? { ids, size } : { ids };
      const { data, buffers } = await this.call<PictureAnswer>(kind, args, {
        signal: request.abort.signal,
      });
      this.end(request);
      together(() => this.take(entries, data, buffers, versions));
    } catch (error) {
      this.end(request);
      if (this.disposed || isAborted(error)) return;
      for (const entry of entries) this.failed(entry, isPassing(error));
    } finally {
      if (!this.disposed && this.queue.size) this.soon();
    }
  }

  private end(request: Request): void {
    this.requests.delete(request);
    for (const entry of request.entries) entry.request = null;
  }

  private take(entries: readonly Entry[], answer: PictureAnswer, buffers: readonly DataView[], versions: Map<Entry, number>): void {
    let place = 0;
    const items = new Map(answer.items.map((item) => {
      const bytes = item.error === undefined ? buffers[place++] : undefined;
      return [item.id, { item, bytes }];
    }));
    for (const entry of entries) {
      const found = items.get(entry.id);
      if (found?.bytes) {
        const blob = new Blob([found.bytes as DataView<ArrayBuffer>], { type: found.item.mime ?? "image/webp" });
        const before = entry.shown.peek().url;
        entry.bytes = blob.size;
        entry.tries = 0;
        entry.have = found.item.preview ?? versions.get(entry) ?? 0;
        const url = URL.createObjectURL(blob);
        if (entry.kind === "thumbs") (entry.image = new Image()).src = url;
        entry.shown.value = { url, state: "ready" };
        if (before) URL.revokeObjectURL(before);
        if (entry.users > 0) this.need(entry); // a preview may be newer by now
      } else if (entry.kind === "previews") {
        entry.have = versions.get(entry) ?? entry.have; // none there: the picture is done, or it ended
      } else {
        this.failed(entry, false);
      }
    }
    this.forget();
  }

  /** `passing`: not the picture is at fault, but the way to it. */
  private failed(entry: Entry, passing: boolean): void {
    if (entry.users === 0) {
      if (entry.shown.peek().state === "loading") entry.shown.value = NOTHING;
      return;
    }
    const wait = TRY_AGAIN_MS[entry.tries];
    entry.tries += 1;
    if (wait !== undefined) {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        if (entry.users > 0) this.need(entry);
      }, wait);
      this.timers.add(timer);
    } else if (passing) {
      entry.tries = 0;
      this.stranded.add(entry);
    } else if (entry.kind === "thumbs") {
      entry.shown.value = { url: entry.shown.peek().url, state: "error" };
    }
  }

  private release(entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    entry.near = undefined;
    this.stranded.delete(entry);
    if (this.queue.delete(entry) || entry.request) this.unwanted(entry);
    if (entry.kind === "previews" || entry.shown.peek().state !== "ready") {
      this.discard(entry);
    } else {
      // To the end: it was used last.
      this.entries.delete(entry.key);
      this.entries.set(entry.key, entry);
      this.forget();
    }
  }

  private unwanted(entry: Entry): void {
    const { request } = entry;
    entry.request = null;
    request?.entries.delete(entry);
    if (request && request.entries.size === 0) request.abort.abort();
    if (entry.shown.peek().state === "loading") entry.shown.value = NOTHING;
  }

  private discard(entry: Entry): void {
    revoke(entry);
    entry.have = 0;
    entry.tries = 0;
    entry.shown.value = NOTHING;
    if (this.entries.get(entry.key) === entry) this.entries.delete(entry.key);
  }

  private forget(): void {
    const idle = [...this.entries.values()].filter((entry) => entry.users === 0);
    let bytes = idle.reduce((sum, entry) => sum + entry.bytes, 0);
    let count = idle.length;
    for (const entry of idle) {
      if (count <= KEPT && bytes <= KEPT_BYTES) return;
      count -= 1;
      bytes -= entry.bytes;
      this.discard(entry);
    }
  }
}

function revoke(entry: Entry): void {
  const { url } = entry.shown.peek();
  if (url) URL.revokeObjectURL(url);
}

/** How far from the middle of the view, in px; nothing known = as if it were there. */
function place(entry: Entry): { away: number; inView: boolean } {
  const element = entry.near?.current;
  if (!element) return { away: 0, inView: true };
  const { top, bottom } = element.getBoundingClientRect();
  const middle = (globalThis.innerHeight || 0) / 2;
  const away = top > middle ? top - middle : bottom < middle ? middle - bottom : 0;
  return { away, inView: away < middle };
}

// -- hooks ----------------------------------------------------------------------------------------

/** The thumbnail of a generation. `size`: 256, 768, or the longer side as shown, in CSS px.
 *  `near`: ref of its element, so that what is in view comes first. */
export function useThumb(store: Store, of: Pictured | undefined, size: number, near?: Near): Picture {
  const pixels = size === 256 || size === 768 ? size : sizeFor(size);
  const asset = of?.asset?.id;
  const id = of?.id ?? "";
  const { pictures } = store;
  const entry = useMemo(
    () => (asset === undefined ? null : pictures.thumb({ id, asset: { id: asset } }, pixels)),
    [pictures, asset, pixels],
  );
  useEffect(() => (entry ? pictures.use(entry, near) : undefined), [entry]);
  if (!entry || asset === undefined) return NOTHING;
  const picture = entry.shown.value;
  if (picture.url) return picture;
  // Another size that is there is better than nothing.
  const other = pictures.known(asset, pixels === 256 ? 768 : 256)?.shown.value.url;
  return other ? { url: other, state: picture.state } : picture;
}

/** The picture of a topic. */
export function useCover(store: Store, topic: TopicRow): Picture {
  const { cover_id: id, cover_asset: asset } = topic;
  return useThumb(store, id && asset ? { id, asset: { id: asset } } : undefined, 256);
}

/** The last preview of a generation that is being made. */
export function usePreview(store: Store, row: GenerationRow): Picture {
  const { pictures } = store;
  const entry = useMemo(() => pictures.preview(row.id), [pictures, row.id]);
  useEffect(() => pictures.use(entry), [entry]);
  useEffect(() => pictures.renew(entry, row.preview), [entry, row.preview]);
  return entry.shown.value;
}

function sizeFor(side: number): Size {
  return side * (globalThis.devicePixelRatio || 1) > 300 ? 768 : 256;
}

/** The stored picture in full; the caller makes, and revokes, its URL. */
export async function fullImage(store: Store, id: string, signal?: AbortSignal): Promise<Blob> {
  return (await readFile(store, "image", id, signal ? { signal } : {})).blob;
}
