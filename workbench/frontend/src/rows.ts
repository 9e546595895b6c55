/** Batches and generations by id, one signal for each: a change draws one card anew.
 *
 *  Rows come several times, late and out of order (answers and deltas overtake each other); putting
 *  one in is idempotent, and what has ended or advanced never goes back.
 */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

import type { BatchRow, GenerationRow } from "./protocol";

const TOMBSTONES = 5000;

/** Whether a batch or a generation was just asked for here, and has no id in the kernel yet. */
export function isLocal(id: string): boolean {
  return id.startsWith("local:");
}

export function isOpen(row: GenerationRow): boolean {
  return row.status === "pending" || row.status === "queued" || row.status === "processing";
}

/** What is known after `row` came, `known` being there already; `known` itself if nothing is new. */
export function merged(known: GenerationRow, row: GenerationRow): GenerationRow {
  if (row.rev < known.rev || row.attempt < known.attempt) return known;
  let next = row;
  if (!isOpen(known) && row.status !== known.status) {
    // It has ended; what a person thinks of it may still change.
    const { rating, favourite, tags } = row;
    next = { ...known, rating, favourite, tags };
  } else if (row.attempt === known.attempt && isOpen(row)) {
    next = {
      ...row,
      progress: Math.max(row.progress, known.progress),
      step: row.step === null ? known.step : Math.max(row.step, known.step ?? 0),
      preview: Math.max(row.preview, known.preview),
    };
  }
  return isSame(known, next) ? known : next;
}

function isSame(a: object, b: object): boolean {
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return Object.keys(other).every((key) => {
    const [x, y] = [one[key], other[key]];
    return x === y || (typeof y === "object" && y !== null && JSON.stringify(x) === JSON.stringify(y));
  });
}

/** Values by id that stay while they are wanted: kept by the feed, or watched by a component. */
class Cells<T> {
  private readonly cells = new Map<string, { signal: Signal<T>; kept: boolean; watched: boolean }>();

  constructor(private readonly empty: T) {}

  of(id: string): Signal<T> {
    return this.cell(id).signal;
  }

  /** Without making a cell. */
  peek(id: string): T {
    return this.cells.get(id)?.signal.peek() ?? this.empty;
  }

  isWatched(id: string): boolean {
    return this.cells.get(id)?.watched ?? false;
  }

  keep(id: string, value: T): void {
    const cell = this.cell(id);
    cell.kept = true;
    cell.signal.value = value;
  }

  /** Nobody lists it any more. Whoever still shows it keeps what it shows. */
  free(id: string): void {
    const cell = this.cells.get(id);
    if (!cell) return;
    cell.kept = false;
    if (!cell.watched) this.cells.delete(id);
  }

  get size(): number {
    return this.cells.size;
  }

  private cell(id: string): { signal: Signal<T>; kept: boolean; watched: boolean } {
    const known = this.cells.get(id);
    if (known) return known;
    const made = {
      kept: false,
      watched: false,
      signal: signal(this.empty, {
        watched: () => {
          made.watched = true;
          this.cells.set(id, made);
        },
        unwatched: () => {
          made.watched = false;
          if (!made.kept && this.cells.get(id) === made) this.cells.delete(id);
        },
      }),
    };
    this.cells.set(id, made);
    return made;
  }
}

export class Rows {
  private readonly generations = new Cells<GenerationRow | undefined>(undefined);
  private readonly batches = new Cells<BatchRow | undefined>(undefined);
  private readonly lists = new Cells<string[]>([]);
  /** Batch -> ids of its generations that are known, earlier attempts included. */
  private readonly members = new Map<string, Set<string>>();
  private readonly tombstones = new Map<string, number>();

  generation(id: string): ReadonlySignal<GenerationRow | undefined> {
    return this.generations.of(id);
  }

  batch(id: string): ReadonlySignal<BatchRow | undefined> {
    return this.batches.of(id);
  }

  /** Ids of the latest generation of each index, by index. */
  latest(batchId: string): ReadonlySignal<string[]> {
    return this.lists.of(batchId);
  }

  /** The row, without making a signal for it. */
  batchRow(id: string): BatchRow | undefined {
    return this.batches.peek(id);
  }

  generationRow(id: string): GenerationRow | undefined {
    return this.generations.peek(id);
  }

  /** Whether the batch is listed somewhere: only then its generations are taken in. */
  has(batchId: string): boolean {
    return this.members.has(batchId);
  }

  /** Whether something of the batch has not ended. */
  isOpen(batchId: string): boolean {
    return this.lists.peek(batchId).some((id) => {
      const row = this.generations.peek(id);
      return row !== undefined && isOpen(row);
    });
  }

  putBatch(row: BatchRow): boolean {
    if (this.isBuried(row)) return false;
    const known = this.batches.peek(row.id);
    if (!this.members.has(row.id)) this.members.set(row.id, new Set());
    if (known && (row.rev < known.rev || isSame(known, row))) this.batches.keep(row.id, known);
    else this.batches.keep(row.id, row);
    return true;
  }

  /** True if the row is new or has another status than before. */
  putGeneration(row: GenerationRow): boolean {
    if (this.isBuried(row)) return false;
    const members = this.members.get(row.batch_id);
    const known = this.generations.peek(row.id);
    const next = known ? merged(known, row) : row;
    if (!members) {
      // Not listed, but perhaps shown (the lightbox walks on beyond the feed's window).
      if (this.generations.isWatched(row.id) && next !== known) {
        (this.generations.of(row.id)).value = next;
      }
      return false;
    }
    this.generations.keep(row.id, next);
    if (!members.has(row.id)) {
      members.add(row.id);
      this.list(row.batch_id, members);
      return true;
    }
    return known?.status !== next.status;
  }

  /** Forget a generation that was deleted; returns its batch. */
  dropGeneration(id: string, rev: number): string | undefined {
    this.bury(id, rev);
    const row = this.generations.peek(id);
    if (!row) return undefined;
    const members = this.members.get(row.batch_id);
    this.generations.of(id).value = undefined;
    this.generations.free(id);
    if (members?.delete(id)) this.list(row.batch_id, members);
    return row.batch_id;
  }

  /** Forget a batch that was deleted, with its generations. */
  dropBatch(id: string, rev: number): void {
    this.bury(id, rev);
    for (const generation of this.members.get(id) ?? []) {
      this.generations.of(generation).value = undefined;
    }
    if (this.batches.peek(id)) this.batches.of(id).value = undefined;
    this.free(id);
  }

  /** Nobody lists the batch any more. */
  free(batchId: string): void {
    for (const generation of this.members.get(batchId) ?? []) this.generations.free(generation);
    this.members.delete(batchId);
    this.lists.free(batchId);
    this.batches.free(batchId);
  }

  /** How many rows are held; for tests. */
  get size(): { batches: number; generations: number } {
    return { batches: this.batches.size, generations: this.generations.size };
  }

  private list(batchId: string, members: ReadonlySet<string>): void {
    const byIndex = new Map<number, GenerationRow>();
    for (const id of members) {
      const row = this.generations.peek(id);
      const other = row && byIndex.get(row.index);
      if (row && (!other || other.seq < row.seq)) byIndex.set(row.index, row);
    }
    const next = [...byIndex.values()].sort((a, b) => a.index - b.index).map((row) => row.id);
    this.lists.keep(batchId, next);
  }

  /** Answers may bring a row that was deleted meanwhile. */
  private isBuried(row: { id: string; rev: number }): boolean {
    const rev = this.tombstones.get(row.id);
    if (rev === undefined) return false;
    if (row.rev < rev) return true;
    this.tombstones.delete(row.id);
    return false;
  }

  private bury(id: string, rev: number): void {
    this.tombstones.delete(id);
    this.tombstones.set(id, rev);
    const [oldest] = this.tombstones.keys();
    if (this.tombstones.size > TOMBSTONES && oldest !== undefined) this.tombstones.delete(oldest);
  }
}
