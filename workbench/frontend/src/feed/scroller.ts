/** Drives the windowed feed in the page: reads the scroll position, decides which blocks are there,
 *  measures them, and corrects the scroll position so that what is read stays where it is. */

import { batch, signal } from "@preact/signals";

import {
  type Anchor,
  anchorOf,
  arrivedAbove,
  Extents,
  type Piece,
  pieces,
  rangeOf,
  scrollFor,
  type View,
  witnesses,
} from "./window";

const AT_TOP = 4; // pixels: closer than that, the reader is at the newest
const FAR = 1.5; // view heights until the way back to the top is offered
const GLIDE_MS = 260;
const ABOVE = 12; // pixels left above a block that is scrolled to, for a heading on its rule

const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

export interface ScrollerEvents {
  /** The view came near an end of what is loaded. */
  nearEnd(): void;
  nearStart(): void;
  /** Another width of the feed, in CSS pixels. */
  resized(width: number): void;
  /** The block that is read now; of a very long list the far end may be let go. */
  reading(key: string | null): void;
}

export class Scroller {
  readonly extents: Extents;
  /** What is in the page, from top to bottom. */
  readonly shown = signal<readonly Piece[]>([]);
  /** Is the reader at the newest? */
  readonly atTop = signal(true);
  readonly far = signal(false);
  /** Blocks that came above while the reader was further down. */
  readonly arrived = signal(0);

  private element: HTMLElement | null = null;
  private list: HTMLElement | null = null;
  private blocks = new Map<Element, string>();
  private unmeasured = new Map<Element, string>();
  private sizes: ResizeObserver | null = null;
  private view: View = { top: 0, height: 0, direction: 1 };
  private width = 0;
  private wanted: number | null = null;
  private pointed: string | undefined;
  private pinned: string | null = null;
  private restore: Anchor | null = null;
  private stopGlide: (() => void) | null = null;

  constructor(
    estimate: (key: string) => number,
    private events: ScrollerEvents,
  ) {
    this.extents = new Extents(estimate);
  }

  // -- the element ----------------------------------------------------------------------------

  /** `element` scrolls, `list` holds the blocks (what precedes it scrolls along). */
  attach(element: HTMLElement, list: HTMLElement): () => void {
    this.element = element;
    this.list = list;
    const outer = new ResizeObserver(() => this.onResize());
    outer.observe(element);
    const scrolled = (): void => this.onScroll();
    const interrupted = (): void => this.stopGlide?.();
    const pointed = (event: Event): void => {
      this.pointed = (event.target as Element).closest<HTMLElement>("[data-key]")?.dataset["key"];
    };
    const left = (): void => {
      this.pointed = undefined;
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    for (const name of ["wheel", "touchstart", "pointerdown"]) {
      element.addEventListener(name, interrupted, { passive: true });
    }
    element.addEventListener("pointerover", pointed, { passive: true });
    element.addEventListener("pointerleave", left, { passive: true });
    this.onResize();
    return () => {
      this.stopGlide?.();
      outer.disconnect();
      this.sizes?.disconnect();
      this.sizes = null;
      this.blocks.clear();
      element.removeEventListener("scroll", scrolled);
      for (const name of ["wheel", "touchstart", "pointerdown"]) {
        element.removeEventListener(name, interrupted);
      }
      element.removeEventListener("pointerover", pointed);
      element.removeEventListener("pointerleave", left);
      this.element = this.list = null;
    };
  }

  /** A block's element came into the page; returns how to let it go. */
  watch(key: string, element: HTMLElement): () => void {
    this.sizes ??= new ResizeObserver((entries) => this.onMeasured(entries));
    this.blocks.set(element, key);
    this.unmeasured.set(element, key);
    this.sizes.observe(element);
    return () => {
      this.blocks.delete(element);
      this.unmeasured.delete(element);
      this.sizes?.unobserve(element);
    };
  }

  private lead(): number {
    return this.list?.offsetTop ?? 0;
  }

  private look(): View {
    const { element } = this;
    if (element === null || element.clientHeight === 0) return this.view;
    const top = element.scrollTop - this.lead();
    return { top, height: element.clientHeight, direction: this.view.direction };
  }

  private onScroll(): void {
    const before = this.view.top;
    this.view = this.look();
    const step = this.view.top - before;
    if (Math.abs(step) >= 1) this.view.direction = step;
    this.noticePlace();
    this.show(false);
    this.page();
  }

  private onResize(): void {
    const { element } = this;
    // Folded away (another tab, a hidden cell): keep everything as it is.
    if (element === null || element.clientWidth === 0 || element.clientHeight === 0) return;
    const anchors = this.hold();
    if (element.clientWidth !== this.width) {
      this.width = element.clientWidth;
      this.events.resized(this.width);
      this.extents.forget();
      this.wanted = this.scrollTo(anchors);
    }
    this.view = { ...this.look(), top: this.wanted ?? this.look().top };
    this.show(true);
    this.page();
  }

  private onMeasured(entries: ResizeObserverEntry[]): void {
    const anchors = this.hold();
    const heights: [string, number][] = [];
    for (const entry of entries) {
      const key = this.blocks.get(entry.target);
      if (key === undefined || !entry.target.isConnected) continue;
      heights.push([key, entry.borderBoxSize[0]?.blockSize ?? 0]);
    }
    if (!this.extents.measure(heights)) return;
    // Only heights in the page changed, so the page already has its new length: scroll at once,
    // before it is painted.
    const top = this.stopGlide === null ? this.scrollTo(anchors) : null;
    if (top !== null) this.apply(top);
    this.show(false);
    this.page();
  }

  // -- the list -------------------------------------------------------------------------------

  /** Takes a new list. `moved` tells which blocks changed their place among the others; `newest`
   *  says that the list began, and begins, with the newest there is: what is new at its top has
   *  arrived (and was not merely loaded), and a reader at the top sees it at once. */
  setKeys(keys: readonly string[], moved: (key: string) => boolean, newest: boolean): void {
    if (keys === this.extents.keys) return;
    const before = new Set(this.extents.keys);
    const anchors = this.hold();
    const first = anchors[0];
    this.extents.setKeys(keys);
    const restored = this.restore === null ? null : scrollFor(this.extents, [this.restore]);
    if (restored !== null) {
      this.wanted = restored;
      this.restore = null;
      // Else `committed` would take real heights above for something new at the top.
      this.atTop.value = restored + this.lead() <= AT_TOP;
    } else if (this.stopGlide === null) {
      this.wanted = newest
        ? this.scrollTo(anchors, moved)
        : scrollFor(this.extents, anchors, moved);
      if (newest && this.wanted !== null && first !== undefined) {
        this.arrived.value += arrivedAbove(this.extents, first.key, before);
      }
    }
    if (this.wanted !== null) this.view = { ...this.view, top: this.wanted };
    this.show(true);
  }

  /** Another topic: remembers nothing of the list; `anchor` is where its reader was. */
  reset(anchor: Anchor | null): void {
    this.stopGlide?.();
    this.restore = anchor;
    batch(() => {
      this.arrived.value = 0;
      this.atTop.value = true;
      this.far.value = false;
      this.extents.setKeys([]);
      this.wanted = -this.lead();
      this.view = { ...this.view, top: 0, direction: 1 };
      this.show(true);
    });
  }

  /** Where the reader is, to come back to; null at the top. */
  position(): Anchor | null {
    return this.atTop.peek() ? null : anchorOf(this.extents, this.look());
  }

  /** Call after the page has taken over `shown`.
   *
   *  What came into the page is measured here: an observer may report it one frame later, and the
   *  reader would see what is above them jump. */
  committed(): void {
    const anchors = this.hold();
    const heights = [...this.unmeasured].map(([element, key]): [string, number] => [
      key,
      element.getBoundingClientRect().height,
    ]);
    this.unmeasured.clear();
    const changed = this.extents.measure(heights);
    let top = this.wanted;
    // At the top nothing is above; on the way somewhere the goal is what counts.
    if (changed && this.stopGlide === null && !this.atTop.peek()) {
      top = scrollFor(this.extents, anchors);
    }
    this.wanted = null;
    if (top !== null) this.apply(top);
    if (changed) this.show(false);
  }

  private apply(top: number): void {
    const { element } = this;
    if (element === null) return;
    const target = Math.max(0, top + this.lead());
    if (Math.abs(element.scrollTop - target) < 0.5) return;
    element.scrollTop = target;
    // Our own step is not the reader's: keep the direction.
    this.view = { ...this.look(), direction: this.view.direction };
    this.noticePlace();
  }

  private hold(): Anchor[] {
    const view = this.wanted === null ? this.look() : this.view;
    return witnesses(this.extents, anchorOf(this.extents, view, this.pointed), view);
  }

  /** Where to scroll after a change; null at the top, where the newest pushes the rest down. */
  private scrollTo(anchors: Anchor[], moved?: (key: string) => boolean): number | null {
    if (this.atTop.peek()) return null;
    return scrollFor(this.extents, anchors, moved);
  }

  private noticePlace(): void {
    const top = this.element?.scrollTop ?? 0;
    batch(() => {
      this.atTop.value = top <= AT_TOP;
      this.far.value = top > this.view.height * FAR;
      if (this.atTop.value) this.arrived.value = 0;
    });
  }

  private show(always: boolean): void {
    const range = rangeOf(this.extents, this.view);
    const pinned = this.pinned === null ? undefined : this.extents.place(this.pinned);
    const next = pieces(this.extents, range, pinned === undefined ? [] : [pinned]);
    const before = this.shown.peek();
    const same =
      next.length === before.length &&
      next.every((piece, at) => {
        const other = before[at] as Piece;
        return "block" in piece
          ? "block" in other && other.block === piece.block
          : "gap" in other && Math.abs(other.gap - piece.gap) < 0.5 && other.after === piece.after;
      });
    if (always || !same) this.shown.value = next;
  }

  /** Asks for more where the loaded list ends soon. */
  private page(): void {
    const { top, height } = this.view;
    if (height === 0 || this.extents.count === 0) return;
    this.events.reading(this.extents.keys[this.extents.placeAt(top)] ?? null);
    if (this.extents.total - (top + height) < 2 * height) this.events.nearEnd();
    if (top < 2 * height) this.events.nearStart();
  }

  // -- going somewhere ------------------------------------------------------------------------

  /** The block stays in the page wherever the reader goes (it has the focus). */
  pin(key: string | null): void {
    if (key === this.pinned) return;
    this.pinned = key;
    this.show(false);
  }

  /** Does this block lie in view as a whole, or fill it? */
  isInView(key: string): boolean {
    const place = this.extents.place(key);
    if (place === undefined) return false;
    const view = this.look();
    const top = this.extents.top(place);
    return top >= view.top && top + Math.min(this.extents.height(place), 80) <= view.top + view.height;
  }

  /** As little as needed to see this block's beginning, at once. */
  scrollBlockIntoView(key: string): void {
    const { element } = this;
    const place = this.extents.place(key);
    if (element === null || place === undefined) return;
    this.stopGlide?.();
    const top = this.extents.top(place) + this.lead();
    const height = Math.min(this.extents.height(place), element.clientHeight);
    const below = top + height - element.clientHeight;
    if (element.scrollTop > top) element.scrollTop = top;
    else if (element.scrollTop < below) element.scrollTop = below;
    this.onScroll();
  }

  toTop(): void {
    this.glide(() => -this.lead());
  }

  /** Scrolls so that this block begins at the top of the view. */
  reveal(key: string): void {
    this.glide(() => {
      const place = this.extents.place(key);
      return place === undefined ? null : this.extents.top(place) - ABOVE;
    });
  }

  /** Scrolls there in a moment; what is measured on the way moves the goal along. */
  private glide(goal: () => number | null): void {
    const { element } = this;
    const first = goal();
    if (element === null || first === null) return;
    this.stopGlide?.();
    const finish = (): void => {
      const top = goal();
      this.stopGlide = null;
      if (top !== null) element.scrollTop = top + this.lead();
      this.onScroll();
    };
    if (calm() || document.hidden) {
      finish();
      // What is measured now belongs to the new place: aim once more when it is known.
      requestAnimationFrame(finish);
      return;
    }
    const distance = first + this.lead() - element.scrollTop;
    const reach = 2 * element.clientHeight;
    // Far away: jump near it first, gliding over thousands of pictures helps nobody.
    if (Math.abs(distance) > reach) {
      element.scrollTop = first + this.lead() - Math.sign(distance) * element.clientHeight * 0.6;
      this.onScroll();
    }
    const from = element.scrollTop;
    const started = performance.now();
    const step = (now: number): void => {
      const part = Math.min(1, Math.max(0, (now - started) / GLIDE_MS));
      const top = goal();
      if (top === null || part >= 1) {
        finish();
        return;
      }
      const eased = 1 - (1 - part) ** 3;
      element.scrollTop = from + (top + this.lead() - from) * eased;
      frame = requestAnimationFrame(step);
    };
    let frame = requestAnimationFrame(step);
    this.stopGlide = () => {
      cancelAnimationFrame(frame);
      this.stopGlide = null;
    };
  }
}
