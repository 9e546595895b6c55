/** What one feed on the page knows beyond the rows: its blocks, its scroller, the card that the
 *  keyboard is at. One per mounted feed. */

import { batch, computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";

import { isAborted, reasonOf } from "../errors";
import { isLocal } from "../rows";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { type Block, blocksOf, movedBetween } from "./blocks";
import { blockHeight, type Sheet, sheetFor } from "./layout";
import { type Cell, step, type Step } from "./navigation";
import { Scroller } from "./scroller";
import type { Anchor } from "./window";

const PULSE_MS = 2000;
const IDLE_MS = 60_000; // a pointer that rests so long does not hold batches back any more
const FRESH_MS = 6000; // a batch older than that does not slide in
const TOPICS_REMEMBERED = 50;

export class FeedState {
  readonly blocks = signal<readonly Block[]>([]);
  readonly sheet = signal<Sheet>(sheetFor(720));
  readonly scroller: Scroller;
  /** Key of the block that was scrolled to. */
  readonly pulsing = signal<string | null>(null);
  /** The card that Tab leads to: batch key and index. */
  readonly current: ReadonlySignal<string | null>;
  readonly focused = signal<string | null>(null);
  readonly olderError = signal("");
  /** Batches that have just come and slide in. */
  readonly entering = new Set<string>();

  private byKey = new Map<string, Block>();
  private places = new Map<string, Anchor>();
  private locals: ReadonlySet<string> = new Set();
  /** Newer images could not be had: scrolling alone does not ask for them once more. */
  private newerFailed = false;
  private disposers: (() => void)[] = [];
  private idle: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setTimeout> | undefined;
  private root: HTMLElement | null = null;

  constructor(readonly store: Store) {
    this.scroller = new Scroller((key) => this.estimate(key), {
      nearEnd: () => void this.older(false),
      nearStart: () => void this.newer(),
      resized: (width) => {
        this.sheet.value = sheetFor(width);
      },
      reading: (key) => {
        this.store.feed.look(key === null ? null : (this.byKey.get(key)?.id ?? null));
      },
    });
    this.current = computed(() => this.focused.value ?? this.firstCard());
    this.disposers.push(this.followList(), this.followEdges());
  }

  dispose(): void {
    for (const dispose of this.disposers) dispose();
    clearTimeout(this.idle);
    clearTimeout(this.pulse);
    this.store.feed.hold(false);
  }

  attach(root: HTMLElement, element: HTMLElement, list: HTMLElement): () => void {
    this.root = root;
    const detach = this.scroller.attach(element, list);
    return () => {
      detach();
      this.root = null;
    };
  }

  get element(): HTMLElement | null {
    return this.root;
  }

  // -- the list -------------------------------------------------------------------------------

  private estimate(key: string): number {
    const block = this.byKey.get(key);
    const row = block && this.store.batch(block.id).peek();
    if (block === undefined || row === undefined) return 280;
    const cards = this.store.latest(block.id).peek().length || row.n;
    return blockHeight(this.sheet.peek(), row, cards);
  }

  private followList(): () => void {
    const { feed } = this.store;
    let topic: string | null = null;
    let reachedNewest = false;
    return effect(() => {
      const now = feed.topicId.value;
      const active = feed.active.value;
      const history = feed.history.value;
      const newest = !feed.hasNewer.value;
      untracked(() => {
        batch(() => {
          // A topic that comes into being with the first prompt takes over what is shown already.
          const isAdopted = topic === null && this.blocks.peek().length > 0;
          if (now !== topic && !isAdopted) this.switchTopic(topic, now);
          topic = now;
          const before = this.blocks.peek();
          const next = blocksOf(active, history, (id) => this.store.keyOf(id), newest);
          const moved = movedBetween(before, next);
          this.markEntering(before, next);
          this.byKey = new Map(next.map((block) => [block.key, block]));
          this.blocks.value = next;
          this.scroller.setKeys(
            next.map((block) => block.key),
            (key) => moved.has(key),
            newest && (reachedNewest || before.length === 0),
          );
          reachedNewest = newest;
        });
        this.followOwn(active);
      });
    });
  }

  /** Remembers where the reader of one topic was, and goes to where they were in the other. */
  private switchTopic(before: string | null, now: string | null): void {
    const left = this.scroller.position();
    if (before !== null) this.places.delete(before);
    if (before !== null && left !== null) this.places.set(before, left);
    const [oldest] = this.places.keys();
    if (this.places.size > TOPICS_REMEMBERED && oldest !== undefined) this.places.delete(oldest);
    this.blocks.value = [];
    this.byKey.clear();
    this.focused.value = null;
    this.olderError.value = "";
    this.newerFailed = false;
    this.scroller.reset((now !== null && this.places.get(now)) || null);
  }

  /** What was asked for on this page is what its reader wants to see. */
  private followOwn(active: readonly string[]): void {
    const local = active.filter(isLocal);
    const isNew = local.some((id) => !this.locals.has(id));
    this.locals = new Set(local);
    if (isNew && !this.scroller.atTop.peek()) void this.toNewest();
  }

  private markEntering(before: readonly Block[], next: readonly Block[]): void {
    if (before.length === 0) return;
    const known = new Set(before.map((block) => block.key));
    const now = this.store.now.peek();
    for (const block of next.slice(0, 12)) {
      if (known.has(block.key)) continue;
      const row = this.store.batch(block.id).peek();
      if (row !== undefined && now - row.created_at < FRESH_MS) this.entering.add(block.key);
    }
  }

  /** A refresh or a new connection may have made a failed page possible again. */
  private followEdges(): () => void {
    return effect(() => {
      if (this.store.link.value !== "live") return;
      untracked(() => {
        this.olderError.value = "";
        this.newerFailed = false;
      });
    });
  }

  // -- pages ----------------------------------------------------------------------------------

  async older(asked: boolean): Promise<void> {
    const { feed } = this.store;
    if (!feed.hasOlder.peek() || feed.loadingOlder.peek()) return;
    if (this.olderError.peek() !== "" && !asked) return;
    this.olderError.value = "";
    try {
      await feed.loadOlder();
    } catch (error) {
      this.olderError.value = reasonOf(error);
    }
  }

  private async newer(): Promise<void> {
    const { feed } = this.store;
    if (this.newerFailed || !feed.hasNewer.peek() || feed.loadingNewer.peek()) return;
    try {
      await feed.loadNewer();
    } catch (error) {
      this.failNewer(error);
    }
  }

  /** The upper end is no place for a sentence, as the lower one is: it would move what is read. */
  private failNewer(error: unknown): void {
    this.newerFailed = true;
    if (isAborted(error)) return;
    this.store.toast(feedText("feed.newer_failed", { reason: reasonOf(error) }), "error");
  }

  async toNewest(): Promise<void> {
    const { feed } = this.store;
    try {
      if (feed.hasNewer.peek()) await feed.toNewest();
      this.newerFailed = false;
    } catch (error) {
      this.failNewer(error);
      return;
    }
    this.scroller.toTop();
  }

  // -- the pointer ----------------------------------------------------------------------------

  /** While somebody points at something, batches that end stay where they are. */
  pointing(on: boolean): void {
    clearTimeout(this.idle);
    this.store.feed.hold(on);
    if (on) this.idle = setTimeout(() => this.store.feed.hold(false), IDLE_MS);
  }

  reveal(key: string): void {
    this.scroller.reveal(key);
    this.pulsing.value = key;
    clearTimeout(this.pulse);
    this.pulse = setTimeout(() => (this.pulsing.value = null), PULSE_MS);
  }

  // -- the keyboard ---------------------------------------------------------------------------

  private firstCard(): string | null {
    for (const piece of this.scroller.shown.value) {
      if (!("block" in piece)) continue;
      const block = this.blocks.value[piece.block];
      if (block && this.store.latest(block.id).value.length > 0) return cardKey(block.key, 0);
    }
    return null;
  }

  private cell(card: string | null): Cell | null {
    if (card === null) return null;
    const cut = card.lastIndexOf("/");
    const block = this.scroller.extents.place(card.slice(0, cut));
    return block === undefined ? null : { block, index: Number(card.slice(cut + 1)) };
  }

  /** A card took the focus: it stays in the page until the focus goes elsewhere. */
  focusedCard(key: string, index: number): void {
    this.focused.value = cardKey(key, index);
    this.scroller.pin(key);
  }

  left(): void {
    this.scroller.pin(null);
  }

  /** Moves the focus; false if there is nothing in that direction. */
  walk(direction: Step): boolean {
    const from = this.cell(this.current.peek());
    if (from === null) return false;
    const blocks = this.blocks.peek();
    const to = step(
      {
        columns: this.sheet.peek().columns,
        blocks: blocks.length,
        cards: (place) => {
          const block = blocks[place];
          return block === undefined ? 0 : this.store.latest(block.id).peek().length;
        },
      },
      from,
      direction,
    );
    if (to === null) {
      if (direction === "end" || direction === "down") void this.older(true);
      return false;
    }
    const block = blocks[to.block] as Block;
    this.focusCard(block.key, to.index);
    return true;
  }

  /** Gives the focus to a card, wherever it is in the list. */
  focusCard(key: string, index: number): void {
    this.focusedCard(key, index);
    if (!this.scroller.isInView(key)) this.scroller.scrollBlockIntoView(key);
    this.whenThere(`[data-card="${CSS.escape(cardKey(key, index))}"]`, 5, (element) => {
      element.focus({ preventScroll: true });
      element.scrollIntoView({ block: "nearest" });
    });
  }

  /** Whether the focus is in this view, or nowhere. */
  hasFocus(): boolean {
    const focus = document.activeElement;
    const widget = this.root?.closest(".wbx");
    return focus === null || focus === document.body || (widget?.contains(focus) ?? false);
  }

  /** The lightbox closed: the focus goes back to the picture that was seen last. */
  focusGeneration(id: string): void {
    const row = this.store.generation(id).peek();
    const block = this.blocks.peek().find((candidate) => candidate.id === row?.batch_id);
    if (row === undefined || block === undefined) return;
    const place = this.store.latest(block.id).peek().indexOf(id);
    if (place >= 0) this.focusCard(block.key, place);
  }

  private whenThere(selector: string, frames: number, then: (element: HTMLElement) => void): void {
    const element = this.root?.querySelector<HTMLElement>(selector);
    if (element) then(element);
    else if (frames > 0) requestAnimationFrame(() => this.whenThere(selector, frames - 1, then));
  }
}

export const cardKey = (blockKey: string, index: number): string => `${blockKey}/${index}`;
