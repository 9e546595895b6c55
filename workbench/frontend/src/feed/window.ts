/** The maths of the windowed feed: where blocks of different heights lie, which of them are worth
 *  being in the page, and by how much to scroll so that what is read stays where it is. No DOM. */

/** Blocks one below the other; heights are estimates until somebody has measured them. */
export class Extents {
  keys: readonly string[] = [];
  /** `tops[i]` is where block i begins; the last entry is the whole height. */
  private tops = new Float64Array(1);
  private places = new Map<string, number>();
  private measured = new Map<string, number>();

  constructor(private estimate: (key: string) => number) {}

  /** Takes a new list; what was measured stays known. */
  setKeys(keys: readonly string[]): void {
    if (keys === this.keys) return;
    this.keys = keys;
    this.places = new Map(keys.map((key, place) => [key, place]));
    for (const key of this.measured.keys()) if (!this.places.has(key)) this.measured.delete(key);
    this.refresh(0);
  }

  /** Another width: every height is a guess again. */
  forget(): void {
    this.measured.clear();
    this.refresh(0);
  }

  /** Takes real heights; true if one of them moves anything. */
  measure(heights: Iterable<readonly [string, number]>): boolean {
    let from = this.keys.length;
    for (const [key, height] of heights) {
      const place = this.places.get(key);
      // A page that is hidden or folded away measures 0: that says nothing about the block.
      if (place === undefined || height <= 0) continue;
      if (Math.abs(this.height(place) - height) < 0.05) continue;
      this.measured.set(key, height);
      from = Math.min(from, place);
    }
    if (from === this.keys.length) return false;
    this.refresh(from);
    return true;
  }

  private refresh(from: number): void {
    const count = this.keys.length;
    if (this.tops.length !== count + 1) {
      const grown = new Float64Array(count + 1);
      grown.set(this.tops.subarray(0, Math.min(from + 1, count + 1)));
      this.tops = grown;
    }
    for (let place = from; place < count; place++) {
      const key = this.keys[place] as string;
      const height = this.measured.get(key) ?? this.estimate(key);
      this.tops[place + 1] = this.at(place) + height;
    }
  }

  private at(place: number): number {
    return this.tops[place] ?? 0;
  }

  get count(): number {
    return this.keys.length;
  }

  get total(): number {
    return this.at(this.keys.length);
  }

  top(place: number): number {
    return this.at(Math.max(0, Math.min(place, this.keys.length)));
  }

  height(place: number): number {
    return this.at(place + 1) - this.at(place);
  }

  place(key: string): number | undefined {
    return this.places.get(key);
  }

  /** The block at this height; the nearest one outside. -1 without blocks. */
  placeAt(y: number): number {
    let low = 0;
    let high = this.keys.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.at(middle) <= y) low = middle;
      else high = middle - 1;
    }
    return high < 0 ? -1 : low;
  }
}

/** Blocks `first` up to and without `last`. */
export interface Range {
  first: number;
  last: number;
}

export interface View {
  top: number;
  height: number;
  /** Pixels of the last scroll step; positive = downwards. */
  direction: number;
}

const BEHIND = 0.5; // of the view's height
const AHEAD = 1.5;

/** The blocks that belong into the page: the view, more in the direction of reading, less behind. */
export function rangeOf(extents: Extents, view: View): Range {
  if (extents.count === 0) return { first: 0, last: 0 };
  const down = view.direction >= 0;
  const above = view.height * (down ? BEHIND : AHEAD);
  const below = view.height * (down ? AHEAD : BEHIND);
  const first = extents.placeAt(view.top - above);
  const last = extents.placeAt(view.top + view.height + below) + 1;
  return { first, last };
}

/** A piece of the page: one block, or the empty height of the blocks that are not there. */
export type Piece = { block: number } | { gap: number; after: number };

/** The range as pieces from top to bottom. `pinned` blocks (the one with the focus) stay in the
 *  page wherever the reader scrolls; a removed node would take the focus with it. */
export function pieces(extents: Extents, range: Range, pinned: readonly number[] = []): Piece[] {
  const shown = new Set<number>(pinned.filter((place) => place >= 0 && place < extents.count));
  for (let place = range.first; place < range.last; place++) shown.add(place);
  const result: Piece[] = [];
  let done = 0; // blocks that the pieces so far stand for
  for (const place of [...shown].sort((a, b) => a - b)) {
    if (place > done) result.push({ gap: extents.top(place) - extents.top(done), after: done - 1 });
    result.push({ block: place });
    done = place + 1;
  }
  if (done < extents.count) result.push({ gap: extents.total - extents.top(done), after: done - 1 });
  return result;
}

/** What the reader looks at: this block's top is so far below the view's top (negative: above). */
export interface Anchor {
  key: string;
  offset: number;
}

/** The block to hold on to: the one under the pointer if it is in view, else the first whose top
 *  can be seen, else the one that fills the view. */
export function anchorOf(extents: Extents, view: View, pointed?: string): Anchor | null {
  if (extents.count === 0) return null;
  const at = (place: number): Anchor => ({
    key: extents.keys[place] as string,
    offset: extents.top(place) - view.top,
  });
  const under = pointed === undefined ? undefined : extents.place(pointed);
  if (under !== undefined) {
    const top = extents.top(under);
    if (top < view.top + view.height && top + extents.height(under) > view.top) return at(under);
  }
  const place = extents.placeAt(view.top);
  const next = place + 1;
  const nextIsSeen = next < extents.count && extents.top(next) < view.top + view.height / 2;
  return extents.top(place) < view.top && nextIsSeen ? at(next) : at(place);
}

/** Other blocks of the view to hold on to, should the anchor go: what follows first, then what
 *  precedes. */
export function witnesses(extents: Extents, anchor: Anchor | null, view: View): Anchor[] {
  const place = anchor === null ? undefined : extents.place(anchor.key);
  if (anchor === null || place === undefined) return [];
  const result = [anchor];
  const add = (other: number): void => {
    const key = extents.keys[other];
    if (key !== undefined) result.push({ key, offset: extents.top(other) - view.top });
  };
  for (let step = 1; step <= 8; step++) add(place + step);
  for (let step = 1; step <= 8; step++) add(place - step);
  return result;
}

/** Where to scroll so that nothing in view moves after the list has changed.
 *
 *  The first witness that is still there, and that has not itself changed its place among the
 *  others (`moved`), keeps its distance to the top of the view. */
export function scrollFor(
  extents: Extents,
  known: readonly Anchor[],
  moved: (key: string) => boolean = () => false,
): number | null {
  let fallback: number | null = null;
  for (const { key, offset } of known) {
    const place = extents.place(key);
    if (place === undefined) continue;
    const top = extents.top(place) - offset;
    if (!moved(key)) return top;
    fallback ??= top;
  }
  return fallback;
}

/** How many blocks are new above this one. */
export function arrivedAbove(
  extents: Extents,
  anchorKey: string,
  before: ReadonlySet<string>,
): number {
  const end = extents.place(anchorKey) ?? 0;
  let count = 0;
  for (let place = 0; place < end; place++) {
    if (!before.has(extents.keys[place] as string)) count++;
  }
  return count;
}
