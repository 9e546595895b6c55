/** The feed of the open topic: which window is shown, and the pages that it needs.
 *
 *  The windows of the last topics stay, so that going back to one shows it at once; it is brought up
 *  to date meanwhile. While a topic loads, the one before stays on the screen.
 */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { isAborted, WorkbenchError } from "./errors";
import { FeedWindow } from "./feed_window";
import type { BatchRow, FeedPage, GenerationRow, Op, TopicFeed } from "./protocol";
import type { Rows } from "./rows";

const FIRST_PAGE = 20; // batches
const NEXT_PAGE = 40;
const TOPICS = 4; // the kernel sends changes of so many

type Call = <T>(op: Op, args: object, options?: { signal?: AbortSignal }) => Promise<T>;

export class Feed {
  readonly state: ReadonlySignal<"none" | "loading" | "ready" | "error">;
  readonly error = signal<WorkbenchError | null>(null);
  /** The topic that is shown: behind the desk's while that one loads. */
  readonly topicId: ReadonlySignal<string | null>;
  /** Another topic is being loaded while this one is shown. */
  readonly switching = signal(false);
  readonly active: ReadonlySignal<string[]>;
  readonly history: ReadonlySignal<string[]>;
  readonly hasOlder: ReadonlySignal<boolean>;
  readonly hasNewer: ReadonlySignal<boolean>;
  readonly loadingOlder = signal(false);
  readonly loadingNewer = signal(false);
  /** Batches that came above a window which does not reach the newest. */
  readonly fresh: ReadonlySignal<number>;

  private readonly shown: Signal<{ window: FeedWindow; topic: string | null }>;
  private readonly loading = signal(false);
  private readonly windows = new Map<string, FeedWindow>();
  private wanted: string | null = null;
  private opening: AbortController | null = null;
  private isHeld = false;

  constructor(
    private readonly rows: Rows,
    private readonly call: Call,
  ) {
    this.shown = signal({ window: this.made(null), topic: null });
    this.topicId = computed(() => this.shown.value.topic);
    this.active = computed(() => this.window.active.value);
    this.history = computed(() => this.window.history.value);
    this.hasOlder = computed(() => this.window.hasOlder.value);
    this.hasNewer = computed(() => this.window.hasNewer.value);
    this.fresh = computed(() => this.window.fresh.value);
    this.state = computed(() => {
      if (this.error.value) return "error";
      if (this.loading.value) return "loading";
      return this.shown.value.topic === null && !this.active.value.length ? "none" : "ready";
    });
  }

  /** Batches of a topic in which something has not ended, as far as that topic is held here. */
  activeIn(topicId: string): readonly string[] {
    const { window, topic } = this.shown.value;
    return (topic === topicId ? window : this.windows.get(topicId))?.active.value ?? [];
  }

  private get window(): FeedWindow {
    return this.shown.value.window;
  }

  private get current(): FeedWindow {
    return this.shown.peek().window;
  }

  // -- what the feed view asks for ------------------------------------------------------------------

  async loadOlder(): Promise<void> {
    const window = this.current;
    const cursor = window.olderCursor;
    if (cursor === null || this.loadingOlder.peek()) return;
    await this.during(this.loadingOlder, async () => {
      const page = await this.page(window, "older", cursor);
      if (page && window.olderCursor === cursor) window.addOlder(page);
    });
  }

  async loadNewer(): Promise<void> {
    const window = this.current;
    const cursor = window.newerCursor;
    if (cursor === null || this.loadingNewer.peek()) return;
    await this.during(this.loadingNewer, async () => {
      const page = await this.page(window, "newer", cursor);
      if (page && window.newerCursor === cursor) window.addNewer(page);
    });
  }

  /** Let the window begin at the newest batch again. */
  async toNewest(): Promise<void> {
    const window = this.current;
    if (window.topicId === null || window.newerCursor === null) return;
    const feed = await this.call<TopicFeed>("topic.open", { topic_id: window.topicId, limit: FIRST_PAGE });
    window.replace(feed, FIRST_PAGE);
  }

  /** Read everything again that is shown. */
  async refresh(): Promise<void> {
    if (this.error.peek() && this.wanted !== null) return this.load(this.wanted);
    const window = this.current;
    if (window.topicId === null) return;
    const feed = await this.call<TopicFeed>("topic.open", { topic_id: window.topicId, limit: FIRST_PAGE });
    window.merge(feed, FIRST_PAGE);
    await this.renew(window);
  }

  /** While a pointer is over the feed, batches that end stay where they are on the screen. */
  hold(on: boolean): void {
    this.isHeld = on;
    this.current.hold(on);
  }

  /** The batch that is being read: of a very long feed the end that is far from it is let go. */
  look(batchId: string | null): void {
    this.current.reading = batchId;
  }

  // -- topics ---------------------------------------------------------------------------------------

  /** The desk's topic is another one. */
  open(topicId: string | null): void {
    if (topicId === this.wanted) return;
    this.wanted = topicId;
    this.opening?.abort();
    this.switching.value = false;
    if (topicId === null) {
      this.show(this.made(null), null);
      return;
    }
    const known = this.windows.get(topicId);
    if (known) {
      this.show(known, topicId);
      void this.load(topicId, known);
    } else {
      void this.load(topicId);
    }
  }

  /** What `hello` brought of the open topic. `again`: the page was away for long. */
  start(topicId: string | null, feed: TopicFeed | null, again: boolean): void {
    this.opening?.abort();
    this.switching.value = false;
    this.wanted = topicId;
    for (const [id, window] of this.windows) {
      if (id === topicId) continue;
      this.windows.delete(id);
      if (window !== this.current) window.clear();
    }
    if (feed === null || feed.topic_id !== topicId) {
      if (topicId === null) this.show(this.made(null), null);
      else void this.load(topicId, this.windows.get(topicId));
      return;
    }
    const known = this.windows.get(topicId);
    if (known) {
      known.merge(feed, FIRST_PAGE);
      this.show(known, topicId);
      // What does not come back now is not wrong, only old: the next change or refresh mends it.
      if (again) this.renew(known).catch(() => undefined);
    } else {
      this.show(this.filled(topicId, feed), topicId);
    }
  }

  private async load(topicId: string, known?: FeedWindow): Promise<void> {
    this.opening?.abort();
    const opening = (this.opening = new AbortController());
    if (!known) {
      this.error.value = null;
      if (this.shown.peek().topic === null && !this.active.peek().length) this.loading.value = true;
      else this.switching.value = true;
    }
    try {
      const feed = await this.call<TopicFeed>(
        "topic.open", { topic_id: topicId, limit: FIRST_PAGE }, { signal: opening.signal },
      );
      if (opening.signal.aborted) return;
      if (known) known.merge(feed, FIRST_PAGE);
      else this.show(this.filled(topicId, feed), topicId);
    } catch (error) {
      if (opening.signal.aborted || isAborted(error)) return;
      if (known) return; // it is shown as it was; the connection says what is wrong
      batch(() => {
        this.show(this.made(topicId), topicId, false);
        this.error.value =
          error instanceof WorkbenchError ? error : new WorkbenchError("internal", String(error));
      });
    }
  }

  private filled(topicId: string, feed: TopicFeed): FeedWindow {
    const window = this.made(topicId);
    window.replace(feed, FIRST_PAGE);
    return window;
  }

  private made(topicId: string | null): FeedWindow {
    return new FeedWindow(topicId, this.rows);
  }

  private show(window: FeedWindow, topic: string | null, keep = true): void {
    batch(() => {
      const before = this.current;
      this.loading.value = false;
      this.switching.value = false;
      this.error.value = null;
      if (before !== window) {
        before.hold(false);
        window.hold(this.isHeld);
        this.shown.value = { window, topic };
        if (before.topicId === null || !this.windows.has(before.topicId)) before.clear();
      }
      if (topic === null || !keep) return;
      this.windows.delete(topic);
      this.windows.set(topic, window);
      const [oldest] = this.windows;
      if (this.windows.size > TOPICS && oldest) {
        this.windows.delete(oldest[0]);
        oldest[1].clear();
      }
    });
  }

  // -- changes --------------------------------------------------------------------------------------

  windowOf(topicId: string): FeedWindow | undefined {
    return this.windows.get(topicId);
  }

  /** Something unknown became active (a retry far below): read what is active. */
  readActive(window: FeedWindow): void {
    if (window.topicId === null) return;
    this.call<TopicFeed>("topic.open", { topic_id: window.topicId, limit: 1 }).then(
      (feed) => window.mergeActive(feed),
      () => undefined, // the next change of it tries again
    );
  }

  /** Show what was just submitted. */
  addLocal(row: BatchRow, generations: readonly GenerationRow[]): FeedWindow {
    const window = (row.topic_id && this.windows.get(row.topic_id)) || this.current;
    window.addLocal(row, generations);
    return window;
  }

  /** A request brought a topic into being: what is shown becomes that topic's feed. */
  adoptTopic(topicId: string): void {
    const window = this.current;
    if (window.topicId !== null || this.windows.has(topicId)) return;
    window.topicId = topicId;
    window.begin();
    this.opening?.abort();
    this.wanted = topicId;
    batch(() => {
      this.shown.value = { window, topic: topicId };
      this.show(window, topicId);
    });
  }

  dropTopic(topicId: string): void {
    const window = this.windows.get(topicId);
    if (!window || window === this.current) return; // what is shown stays until there is another
    this.windows.delete(topicId);
    window.clear();
  }

  dispose(): void {
    this.opening?.abort();
  }

  // -- pages ----------------------------------------------------------------------------------------

  private async page(window: FeedWindow, direction: "older" | "newer", cursor: string): Promise<FeedPage | null> {
    if (window.topicId === null) return null;
    const args = { topic_id: window.topicId, direction, cursor, limit: NEXT_PAGE };
    return this.call<FeedPage>("page", args);
  }

  private async renew(window: FeedWindow): Promise<void> {
    for (const stale of window.stale()) {
      const page = await this.page(window, stale.direction, stale.cursor);
      if (page) window.renew(page, stale);
    }
  }

  private async during(flag: { value: boolean }, work: () => Promise<void>): Promise<void> {
    flag.value = true;
    try {
      await work();
    } finally {
      flag.value = false;
    }
  }
}
