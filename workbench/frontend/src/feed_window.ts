/** The batches of one topic that the page holds: a contiguous window over them, newest first, and
 *  whatever is active, wherever it lies. Keeps order, ends and eviction; asks for nothing itself.
 */

import { batch, type Signal, signal } from "@preact/signals";

import type { BatchRow, FeedPage, GenerationRow, TopicFeed } from "./protocol";
import { isLocal, type Rows } from "./rows";

export const MOST_LOADED = 600; // batches; beyond that the far end is dropped
const MOST_WITH_ARRIVALS = 1200;

/** One page of the kernel: cursors exist only at its ends. */
interface Segment { top: number; bottom: number; older: string | null; newer: string | null }
/** A range to be read again: seqs from `low` up to and without `end`. */
export interface Stale { direction: "older" | "newer"; cursor: string; low: number; end: number }
type End = "newest" | "oldest";

export class FeedWindow {
  readonly active = signal<string[]>([]);
  readonly history = signal<string[]>([]);
  readonly hasOlder = signal(false);
  readonly hasNewer = signal(false);
  readonly fresh = signal(0);
  /** The batch that is being read; says which end of the window is the far one. */
  reading: string | null = null;

  /** Everything in the window, newest first; those that are active as well. */
  private ids: string[] = [];
  private segments: Segment[] = [];
  private readonly open = new Set<string>();
  /** Ended while the pointer was over the feed: they stay in Active. */
  private readonly held = new Set<string>();
  private readonly arrivals = new Set<string>();
  private isHeld = false;
  private far: End = "oldest";

  constructor(
    /** Null: no topic yet, only what was just submitted. */
    public topicId: string | null,
    private readonly rows: Rows,
  ) {}

  get olderCursor(): string | null {
    return this.segments.at(-1)?.older ?? null;
  }

  get newerCursor(): string | null {
    return this.segments[0]?.newer ?? null;
  }

  /** How many batches are in the window. */
  get size(): number {
    return this.ids.length;
  }

  has(id: string): boolean {
    return this.rows.has(id) && (this.open.has(id) || this.held.has(id) || this.ids.includes(id));
  }

  // -- pages ----------------------------------------------------------------------------------------

  /** Show exactly this: the first page. */
  replace(feed: TopicFeed, limit: number): void {
    batch(() => {
      for (const id of this.ids) if (!isLocal(id)) this.drop(id);
      for (const id of this.open) if (!isLocal(id)) this.drop(id);
      this.segments = [];
      this.arrivals.clear();
      this.far = "oldest";
      const page = this.pageOf(feed, limit);
      this.putRows(feed);
      this.segments = [segmentOf(page, feed)];
      for (const row of page) this.place(row);
      for (const row of feed.batches) this.follow(row.id);
      this.publish();
    });
  }

  /** Take over a newer first page and leave the rest as it is, so that nobody's place is lost. */
  merge(feed: TopicFeed, limit: number): void {
    const page = this.pageOf(feed, limit);
    const low = feed.older === null ? -Infinity : (page.at(-1)?.seq ?? Infinity);
    const newest = this.ids[0] === undefined ? -Infinity : this.seq(this.ids[0]);
    if (!this.segments.length || (this.newerCursor === null && newest < low)) {
      return this.replace(feed, limit);
    }
    batch(() => {
      this.putRows(feed);
      if (this.newerCursor === null) this.settle(page, low, Infinity);
      else for (const row of page) this.arrive(row);
      const [only] = this.segments;
      if (only && this.segments.length === 1 && this.newerCursor === null && only.bottom >= low) {
        only.older = feed.older;
        only.bottom = feed.older === null ? -Infinity : low;
      }
      const current = new Set(feed.active);
      for (const id of [...this.open]) {
        if (!current.has(id) && !isLocal(id) && !this.ids.includes(id)) this.drop(id);
      }
      for (const row of feed.batches) this.follow(row.id);
      this.publish();
    });
  }

  /** Take over what is active now; the window itself stays. */
  mergeActive(feed: TopicFeed): void {
    batch(() => {
      this.putRows(feed);
      for (const row of feed.batches) this.follow(row.id);
      this.publish();
    });
  }

  addOlder(page: FeedPage): void {
    this.add(page, "oldest");
  }

  addNewer(page: FeedPage): void {
    this.add(page, "newest");
  }

  private add(page: FeedPage, end: End): void {
    batch(() => {
      this.putRows(page);
      const last = this.segments.at(end === "oldest" ? -1 : 0);
      if (page.batches.length) {
        const segment = segmentOf(page.batches, page);
        if (end === "oldest") this.segments.push(segment);
        else this.segments.unshift(segment);
      } else if (last) {
        // Nothing there any more: the window ends here.
        if (end === "oldest") Object.assign(last, { older: page.older, bottom: page.older ? last.bottom : -Infinity });
        else Object.assign(last, { newer: page.newer, top: page.newer ? last.top : Infinity });
      }
      for (const row of page.batches) this.place(row);
      for (const row of page.batches) this.follow(row.id);
      this.far = end === "oldest" ? "newest" : "oldest";
      this.evict(MOST_LOADED);
      this.publish();
    });
  }

  /** Which pages to ask for so that all below the first page is known anew. */
  stale(): Stale[] {
    const asks: Stale[] = [];
    this.segments.forEach((segment, place) => {
      const above = this.segments[place - 1];
      const below = this.segments[place + 1];
      if (above?.older) {
        asks.push({ direction: "older", cursor: above.older, low: segment.bottom, end: above.bottom });
      } else if (place === 0 && segment.newer !== null && below?.newer) {
        asks.push({ direction: "newer", cursor: below.newer, low: below.top + 1, end: segment.top + 1 });
      }
    });
    return asks;
  }

  /** A page that was asked for anew: what lies in its range and is not in it has gone. */
  renew(page: FeedPage, { direction, low, end }: Stale): void {
    batch(() => {
      this.putRows(page);
      const seqs = page.batches.map((row) => row.seq);
      // It may hold fewer batches than then: only the range that it really covers is settled.
      if (direction === "older" && page.older !== null) low = Math.max(low, Math.min(...seqs));
      if (direction === "newer" && page.newer !== null) end = Math.min(end, Math.max(...seqs) + 1);
      this.settle(page.batches.filter((row) => row.seq >= low && row.seq < end), low, end);
      for (const row of page.batches) this.follow(row.id);
      this.publish();
    });
  }

  // -- changes --------------------------------------------------------------------------------------

  /** A batch came, or changed. True if it is wanted here: its generations are to be taken in. */
  putBatch(row: BatchRow, isOpenNow: boolean): boolean {
    if (this.has(row.id)) {
      this.rows.putBatch(row);
      return true;
    }
    const isInside = this.arrive(row);
    if (!isInside && !isOpenNow) return false;
    if (!this.rows.putBatch(row)) return false;
    if (isInside) this.place(row);
    return true;
  }

  /** The generations of a batch changed. */
  changed(id: string): void {
    this.follow(id);
  }

  gone(id: string): void {
    this.ids = this.ids.filter((other) => other !== id);
    this.open.delete(id);
    this.held.delete(id);
    this.arrivals.delete(id);
  }

  /** The real batch takes the place of the one that was shown at once. */
  adopt(localId: string, row: BatchRow, generations: readonly GenerationRow[]): void {
    batch(() => {
      this.gone(localId);
      if (!this.segments.length) this.begin();
      this.rows.putBatch(row);
      for (const generation of generations) this.rows.putGeneration(generation);
      if (this.arrive(row)) this.place(row);
      this.follow(row.id);
      this.rows.free(localId);
      this.publish();
    });
  }

  /** What was just submitted, before the kernel knows it. */
  addLocal(row: BatchRow, generations: readonly GenerationRow[]): void {
    batch(() => {
      this.rows.putBatch(row);
      for (const generation of generations) this.rows.putGeneration(generation);
      this.follow(row.id);
      this.publish();
    });
  }

  /** A topic without anything: the window covers all of it. */
  begin(): void {
    this.segments = [{ top: Infinity, bottom: -Infinity, older: null, newer: null }];
  }

  hold(on: boolean): void {
    if (this.isHeld === on) return;
    this.isHeld = on;
    if (on || !this.held.size) return;
    batch(() => {
      const waiting = [...this.held];
      this.held.clear();
      for (const id of waiting) this.follow(id);
      this.publish();
    });
  }

  clear(): void {
    for (const id of [...this.ids, ...this.open, ...this.held]) this.rows.free(id);
  }

  // -- inside ---------------------------------------------------------------------------------------

  /** Make the lists anew; called once after any number of changes. */
  publish(): void {
    this.letGo();
    this.evict(MOST_WITH_ARRIVALS);
    const shown = [...this.open, ...this.held].filter((id) => this.rows.batchRow(id));
    shown.sort((a, b) => this.seq(b) - this.seq(a));
    const top = new Set(shown);
    set(this.active, shown);
    set(this.history, this.ids.filter((id) => !top.has(id)));
    this.hasOlder.value = this.olderCursor !== null;
    this.hasNewer.value = this.newerCursor !== null;
    if (this.newerCursor === null) this.arrivals.clear();
    this.fresh.value = this.arrivals.size;
  }

  /** What is held is let go where it stays in its place: no older batch is left in Active, and no
   *  newer one is in History. */
  private letGo(): void {
    const lowest = Math.min(...[...this.open].map((id) => this.seq(id)));
    for (const id of [...this.held].sort((a, b) => this.seq(a) - this.seq(b))) {
      const next = this.ids.find((one) => !this.open.has(one) && !this.held.has(one));
      if (this.seq(id) > lowest || (next !== undefined && this.seq(next) > this.seq(id))) return;
      this.held.delete(id);
      this.follow(id);
    }
  }

  private seq(id: string): number {
    return this.rows.batchRow(id)?.seq ?? 0;
  }

  private pageOf(feed: TopicFeed, limit: number): BatchRow[] {
    // What is active but older than the page comes behind it.
    return feed.batches.slice(0, limit);
  }

  private putRows(page: FeedPage): void {
    for (const row of page.batches) this.rows.putBatch(row);
    for (const row of page.generations) this.rows.putGeneration(row);
  }

  /** Whether a batch belongs into the window; one beyond its upper end is counted as fresh. */
  private arrive(row: BatchRow): boolean {
    const first = this.segments[0];
    const last = this.segments.at(-1);
    if (!first || !last) return false;
    if (first.newer !== null && row.seq > first.top) {
      this.arrivals.add(row.id);
      return false;
    }
    return last.older === null || row.seq >= last.bottom;
  }

  private place(row: BatchRow): void {
    if (this.ids.includes(row.id) || !this.rows.has(row.id)) return;
    // Almost always at one of the ends.
    let at = this.ids.length;
    while (at > 0 && this.seq(this.ids[at - 1] as string) < row.seq) at -= 1;
    this.ids = [...this.ids.slice(0, at), row.id, ...this.ids.slice(at)];
    this.arrivals.delete(row.id);
  }

  /** The batches from `low` up to and without `end` are these. */
  private settle(page: readonly BatchRow[], low: number, end: number): void {
    const there = new Set(page.map((row) => row.id));
    for (const id of this.ids) {
      const seq = this.seq(id);
      if (seq >= low && seq < end && !there.has(id)) this.drop(id);
    }
    for (const row of page) this.place(row);
  }

  /** Put a batch where its generations say: Active, held there, or History. */
  private follow(id: string): void {
    if (!this.rows.has(id)) return;
    if (this.rows.isOpen(id)) {
      this.open.add(id);
      this.held.delete(id);
    } else if (this.open.delete(id) && this.isHeld) {
      this.held.add(id);
    } else if (!this.held.has(id) && !this.ids.includes(id)) {
      const row = this.rows.batchRow(id);
      if (row && this.arrive(row)) this.place(row);
      else this.rows.free(id);
    }
  }

  private drop(id: string): void {
    this.gone(id);
    this.rows.free(id);
  }

  private evict(most: number): void {
    while (this.ids.length > most && this.segments.length > 1) {
      const end = this.farEnd();
      const next = this.segments.at(end === "newest" ? 1 : -2) as Segment;
      if ((end === "newest" ? next.newer : next.older) === null) return;
      if (end === "newest") this.segments.shift();
      else this.segments.pop();
      const outside = (seq: number): boolean =>
        end === "newest" ? seq > next.top : seq < next.bottom;
      for (const id of this.ids.filter((one) => outside(this.seq(one)))) {
        this.ids = this.ids.filter((other) => other !== id);
        if (!this.open.has(id) && !this.held.has(id)) this.rows.free(id);
      }
    }
  }

  private farEnd(): End {
    const place = this.reading === null ? -1 : this.ids.indexOf(this.reading);
    if (place < 0) return this.far;
    return place < this.ids.length / 2 ? "oldest" : "newest";
  }
}

function segmentOf(page: readonly BatchRow[], { older, newer }: FeedPage): Segment {
  return {
    older,
    newer,
    top: newer === null ? Infinity : (page[0]?.seq ?? Infinity),
    bottom: older === null ? -Infinity : (page.at(-1)?.seq ?? -Infinity),
  };
}

function set(target: Signal<string[]>, next: string[]): void {
  const before = target.peek();
  if (before.length === next.length && before.every((id, place) => id === next[place])) return;
  target.value = next;
}
