/** Full pictures for the lightbox: the one in view and its neighbours, as Blob URLs. Everything
 *  else is let go at once, and all of it when the lightbox closes. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { reasonOf } from "../errors";

export type Full =
  | { state: "none" | "loading" }
  | { state: "ready"; url: string }
  | { state: "error"; reason: string };

/** Fetches the bytes of a picture; aborts with the signal. */
export type Fetch = (id: string, signal: AbortSignal) => Promise<Blob>;

interface Entry {
  shown: Signal<Full>;
  abort: AbortController | null;
}

const NONE: Full = { state: "none" };

export class FullPictures {
  private entries = new Map<string, Entry>();
  private wanted: readonly string[] = [];

  constructor(private fetch: Fetch) {}

  of(id: string): ReadonlySignal<Full> {
    return this.entry(id).shown;
  }

  private entry(id: string): Entry {
    let entry = this.entries.get(id);
    if (entry === undefined) {
      entry = { shown: signal<Full>(NONE), abort: null };
      this.entries.set(id, entry);
    }
    return entry;
  }

  /** The picture in view first, then its neighbours; one after the other, in this order. */
  want(ids: readonly string[]): void {
    this.wanted = ids;
    for (const id of [...this.entries.keys()]) if (!ids.includes(id)) this.drop(id);
    // The one in view does not wait behind a neighbour that is still on its way.
    const first = ids[0];
    if (first !== undefined && this.entry(first).shown.peek().state === "none") {
      for (const id of ids.slice(1)) this.stop(id);
    }
    this.advance();
  }

  again(id: string): void {
    const entry = this.entries.get(id);
    if (entry?.shown.peek().state !== "error") return;
    entry.shown.value = NONE;
    this.advance();
  }

  /** What came is no picture; `again` fetches it anew. */
  spoilt(id: string, reason: string): void {
    const entry = this.entries.get(id);
    const full = entry?.shown.peek();
    if (entry === undefined || full?.state !== "ready") return;
    URL.revokeObjectURL(full.url);
    entry.shown.value = { state: "error", reason };
  }

  dispose(): void {
    this.wanted = [];
    for (const id of [...this.entries.keys()]) this.drop(id);
  }

  private advance(): void {
    if (this.wanted.some((id) => this.entry(id).shown.peek().state === "loading")) return;
    const id = this.wanted.find((one) => this.entry(one).shown.peek().state === "none");
    if (id !== undefined) void this.load(id);
  }

  private async load(id: string): Promise<void> {
    const entry = this.entry(id);
    const abort = new AbortController();
    entry.abort = abort;
    entry.shown.value = { state: "loading" };
    try {
      const blob = await this.fetch(id, abort.signal);
      if (abort.signal.aborted) return;
      entry.shown.value = { state: "ready", url: URL.createObjectURL(blob) };
    } catch (error) {
      if (abort.signal.aborted) return;
      entry.shown.value = { state: "error", reason: reasonOf(error) };
    }
    entry.abort = null;
    this.advance();
  }

  private stop(id: string): void {
    const entry = this.entries.get(id);
    if (entry?.abort == null) return;
    entry.abort.abort();
    entry.abort = null;
    entry.shown.value = NONE;
  }

  private drop(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.stop(id);
    const full = entry.shown.peek();
    if (full.state === "ready") URL.revokeObjectURL(full.url);
    entry.shown.value = NONE;
    this.entries.delete(id);
  }
}
