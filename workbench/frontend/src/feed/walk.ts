/** The finished pictures in the order of the feed, as the lightbox walks them: those that the feed
 *  has loaded at once, further ones from the kernel when an end comes near. */

import { batch, computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";

import { reasonOf } from "../errors";
import type { GenerationRow } from "../protocol";
import type { Store } from "../store";

const STEP = 24; // pictures per request
const NEAR = 6; // so close to an end the next ones are asked for

export type Direction = "next" | "previous";

export class Walk {
  /** Ids in feed order. */
  readonly ids = signal<readonly string[]>([]);
  readonly current = signal<string | null>(null);
  readonly place: ReadonlySignal<number>;
  /** How many pictures of the topic lie before the first id, as far as that is known. */
  readonly before = signal(0);
  readonly error = signal("");
  /** How many have been walked past, by direction; the last direction decides what is next. */
  direction: Direction = "next";

  private ends = { next: false, previous: false };
  private asking = { next: false, previous: false };
  /** Rows that the store does not hold (beyond the feed's window). */
  private rows = new Map<string, GenerationRow>();
  /** Counts how often `ids` began anew: an answer to the list before does not fit. */
  private begun = 0;
  private gone = new Set<string>();
  private disposers: (() => void)[] = [];
  private closed = false;

  constructor(
    private store: Store,
    private onEmpty: () => void,
  ) {
    this.place = computed(() => {
      const id = this.current.value;
      return id === null ? -1 : this.ids.value.indexOf(id);
    });
    this.disposers.push(this.followGone(), this.followArrivals());
  }

  dispose(): void {
    this.closed = true;
    for (const dispose of this.disposers) dispose();
    this.rows.clear();
  }

  /** The row as it is now; the store's where it has it. */
  row(id: string): GenerationRow | undefined {
    return this.store.generation(id).value ?? (this.gone.has(id) ? undefined : this.rows.get(id));
  }

  /** Newer knowledge about a row that the store may not hold. */
  learn(row: GenerationRow): void {
    const known = this.rows.get(row.id);
    if (known === undefined || known.rev <= row.rev) this.rows.set(row.id, row);
  }

  open(id: string): void {
    if (this.current.peek() === id) return;
    batch(() => {
      if (!this.ids.peek().includes(id)) {
        this.begin(this.loaded(id), { next: false, previous: false }, 0);
        this.gone.clear();
      }
      this.current.value = id;
      this.error.value = "";
    });
    this.extend();
  }

  private begin(ids: string[], ends: { next: boolean; previous: boolean }, before: number): void {
    this.begun += 1;
    this.ids.value = ids;
    this.ends = ends;
    this.before.value = before;
  }

  /** The loaded pictures around this one that are neighbours for sure: the feed's window, and
   *  active batches only as far as they are not older than it. */
  private loaded(id: string): string[] {
    const { feed } = this.store;
    const history = feed.history.peek();
    const seq = (batchId: string): number => this.store.batch(batchId).peek()?.seq ?? 0;
    const oldest = history.length > 0 ? seq(history[history.length - 1] as string) : 0;
    const batches = [
      ...feed.active.peek().filter((batchId) => seq(batchId) >= oldest),
      ...history,
    ].sort((a, b) => seq(b) - seq(a));
    const ids = batches.flatMap((batchId) => this.finished(batchId));
    if (ids.includes(id)) return ids;
    const own = this.store.generation(id).peek();
    const alone = own === undefined ? [] : this.finished(own.batch_id);
    return alone.includes(id) ? alone : [id];
  }

  private finished(batchId: string): string[] {
    return this.store
      .latest(batchId)
      .peek()
      .filter((id) => this.store.generation(id).peek()?.status === "completed");
  }

  has(direction: Direction): boolean {
    const place = this.place.value;
    if (place < 0) return false;
    return direction === "next"
      ? place + 1 < this.ids.value.length || !this.ends.next
      : place > 0 || !this.ends.previous;
  }

  neighbour(direction: Direction, by = 1): string | undefined {
    return this.ids.value[this.place.value + (direction === "next" ? by : -by)];
  }

  async step(direction: Direction): Promise<void> {
    this.direction = direction;
    if (this.neighbour(direction) === undefined) await this.ask(direction);
    const id = this.neighbour(direction);
    if (id !== undefined) this.go(id);
  }

  /** The first or last one of the topic. What lies between is not asked for: where it does not join
   *  what is known, the list begins anew there. */
  async edge(direction: Direction): Promise<void> {
    const from = this.current.peek();
    let trouble = "";
    let anew = false;
    if (!this.ends[direction] && from !== null) {
      try {
        anew = await this.outermost(direction, from);
      } catch (error) {
        trouble = reasonOf(error);
      }
    }
    if (this.closed || (this.current.peek() !== from && !anew)) return; // somebody went on meanwhile
    const ids = this.ids.peek();
    const id = direction === "next" ? ids[ids.length - 1] : ids[0];
    if (id === undefined) return;
    this.go(id);
    this.direction = direction === "next" ? "previous" : "next"; // the only way on
    this.error.value = trouble;
  }

  /** True if the list began anew. */
  private async outermost(direction: Direction, from: string): Promise<boolean> {
    const answer = await this.store.call<{ rows: GenerationRow[]; end: boolean }>("walk", {
      id: from,
      direction: direction === "next" ? "last" : "first",
      limit: STEP,
    });
    if (this.closed || this.current.peek() !== from) return false;
    const rows = answer.rows.filter((row) => !this.gone.has(row.id));
    if (rows.length === 0) return false;
    for (const row of rows) this.learn(row);
    const outer = rows.map((row) => row.id);
    const known = new Set(this.ids.peek());
    const joins = outer.some((id) => known.has(id));
    const last = outer.findLastIndex((id) => known.has(id));
    const first = outer.findIndex((id) => known.has(id));
    batch(() => {
      if (joins) this.join(direction, direction === "next" ? outer.slice(last + 1) : outer.slice(0, first), true);
      else if (direction === "next") {
        const topic = this.store.topics.peek().find((one) => one.id === rows[0]?.topic_id);
        const before = Math.max(0, (topic?.images ?? 0) - outer.length);
        this.begin(outer, { next: true, previous: answer.end }, before);
        this.current.value = outer[outer.length - 1] as string;
      } else {
        this.begin(outer, { next: answer.end, previous: true }, 0);
        this.current.value = outer[0] as string;
      }
    });
    return !joins;
  }

  private join(direction: Direction, more: readonly string[], end: boolean): void {
    const now = this.ids.peek();
    this.ends[direction] = end;
    this.ids.value = direction === "next" ? [...now, ...more] : [...more, ...now];
    if (direction === "previous") this.before.value = end ? 0 : Math.max(0, this.before.peek() - more.length);
  }

  go(id: string): void {
    const from = this.place.peek();
    this.current.value = id;
    if (this.place.peek() !== from) this.direction = this.place.peek() > from ? "next" : "previous";
    this.error.value = "";
    this.extend();
  }

  private extend(): void {
    const place = this.place.peek();
    if (this.ids.peek().length - place <= NEAR) void this.ask("next");
    if (place < NEAR) void this.ask("previous");
  }

  private async ask(direction: Direction): Promise<void> {
    if (this.asking[direction] || this.ends[direction] || this.closed) return;
    const ids = this.ids.peek();
    const from = direction === "next" ? ids[ids.length - 1] : ids[0];
    if (from === undefined) return;
    this.asking[direction] = true;
    const begun = this.begun;
    try {
      const answer = await this.store.call<{ rows: GenerationRow[]; end: boolean }>("walk", {
        id: from,
        direction,
        limit: STEP,
      });
      if (this.closed || begun !== this.begun) return;
      const known = new Set(this.ids.peek());
      const fresh = answer.rows.filter((row) => !known.has(row.id) && !this.gone.has(row.id));
      for (const row of fresh) this.learn(row);
      const more = fresh.map((row) => row.id);
      batch(() => this.join(direction, more, answer.end || answer.rows.length === 0));
    } catch (error) {
      if (begun === this.begun) this.error.value = reasonOf(error);
    } finally {
      this.asking[direction] = false;
    }
    if (begun !== this.begun && !this.closed) this.extend(); // the list that is there now waited for it
  }

  /** A picture that is deleted anywhere goes; the next one comes into view. With its topic all go. */
  private followGone(): () => void {
    const seen = new Set<string>();
    return effect(() => {
      const lost: string[] = [];
      const topics = this.store.goneTopics.value;
      for (const id of this.ids.value) {
        const row = this.store.generation(id).value;
        const topic = (row ?? this.rows.get(id))?.topic_id;
        if (topic !== undefined && topics.has(topic)) lost.push(id);
        else if (row !== undefined) seen.add(id);
        else if (seen.has(id)) lost.push(id);
      }
      if (lost.length > 0) untracked(() => this.forget(lost, seen));
    });
  }

  /** New pictures come at the upper end: it is not the end any more. */
  private followArrivals(): () => void {
    return effect(() => {
      void this.store.feed.active.value;
      void this.store.feed.history.value;
      this.ends.previous = false;
    });
  }

  /** Takes pictures out that are not there any more. */
  forget(lost: readonly string[], seen?: Set<string>): void {
    const going = new Set(lost);
    const ids = this.ids.peek();
    const current = this.current.peek();
    for (const id of lost) {
      this.gone.add(id);
      this.rows.delete(id);
      seen?.delete(id);
    }
    const rest = ids.filter((id) => !going.has(id));
    batch(() => {
      if (current !== null && going.has(current)) {
        const place = ids.indexOf(current);
        const after = ids.slice(place + 1).find((id) => !going.has(id));
        this.current.value = after ?? rest[rest.length - 1] ?? null;
      }
      this.ids.value = rest;
    });
    if (rest.length === 0) this.onEmpty();
    else this.extend();
  }
}
