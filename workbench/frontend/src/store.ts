/** What one widget on one page knows: rows, feed, desk, connection. Views select from it; what they
 *  want done goes through `call`. */

import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { Channel } from "./channel";
import { Clock } from "./clock";
import { DeskStore } from "./desk";
import { isAborted, reasonOf, WorkbenchError } from "./errors";
import { Feed } from "./feed_data";
import type { LinkNote, LinkState } from "./link";
import { EVERYTHING, type Model, type Offer } from "./model";
import { bringer, type Needs, Parts } from "./parts";
import { Pictures } from "./pictures";
import type {
  BalanceRow, BatchRow, DeltaRow, GenerationRow, Hello, ModelInfo, OlderTopics, Op, ProjectRow,
  ProviderInfo, QueueRow, TopicRow,
} from "./protocol";
import { VERSION } from "./protocol";
import type { Answer, CallOptions } from "./requests";
import { isOpen, Rows } from "./rows";
import { Submissions, type SubmitOptions } from "./submissions";
import { t } from "./texts";
import { type Level, type Toast, Toasts } from "./toasts";
import { visitorToken } from "./visitor";

export type { Feed } from "./feed_data";
export type { Toast } from "./toasts";
export type { WidgetProps } from "./model";

/** Rows that answers carry; what a click changed shows without waiting for its delta. */
interface AnswerRows { row?: GenerationRow; rows?: GenerationRow[]; topic?: TopicRow; project?: ProjectRow }
/** Notices that are about the state of things, not about one event. */
const LASTING: ReadonlySet<string> = new Set(["disk_full"]);
const ROWS_OF: ReadonlySet<Op> = new Set<Op>([
  "cancel", "retry", "retry_failed", "resolve", "judge", "topic.create", "topic.update",
  "project.create", "project.update", "generation", "topic.open",
]);

export class Store {
  readonly hello = signal<Hello | null>(null);
  /** Why the kernel refused to begin; null while all is well. `retry()` tries again. */
  readonly failure = signal<WorkbenchError | null>(null);
  readonly link: ReadonlySignal<LinkState>;
  readonly linkNote: ReadonlySignal<LinkNote>;
  readonly desk: DeskStore;
  readonly topics: ReadonlySignal<TopicRow[]>;
  /** What lies beyond the topics that are listed; null: that is all. */
  readonly olderTopics = signal<OlderTopics | null>(null);
  /** Topics that were deleted since the page began: what shows a picture of one leaves it. */
  readonly goneTopics = signal<ReadonlySet<string>>(new Set());
  readonly projects: ReadonlySignal<ProjectRow[]>;
  readonly balances = signal<ReadonlyMap<string, BalanceRow>>(new Map());
  readonly queue = signal<QueueRow>({ paused: false });
  readonly models = signal<ModelInfo[]>([]);
  readonly providers = signal<ProviderInfo[]>([]);
  readonly examples = signal<string[]>([]);
  readonly feed: Feed;
  readonly now: ReadonlySignal<number>;
  readonly toasts: ReadonlySignal<readonly Toast[]>;
  /** Sentences of the kernel that hold until they are taken away (a full disk), by code. */
  readonly notices = signal<ReadonlyMap<string, { message: string; level: Level }>>(new Map());
  /** Why the last prompt was not taken on, where that will hold for a while; "" = nothing. */
  readonly refusal = signal("");
  readonly lightbox: Signal<string | null> = signal(null);
  readonly pictures: Pictures;
  readonly parts: Parts;

  private readonly channel: Channel;
  private readonly rows = new Rows();
  private readonly clock = new Clock();
  private readonly messages = new Toasts();
  readonly submissions: Submissions;
  private readonly topicRows = signal<ReadonlyMap<string, TopicRow>>(new Map());
  private readonly projectRows = signal<ReadonlyMap<string, ProjectRow>>(new Map());
  private readonly stops: (() => void)[] = [];

  constructor(model: Model, readonly offer: Offer = EVERYTHING) {
    this.channel = new Channel(model, {
      hello: (hello, again) => this.start(hello, again),
      refused: (error) => (this.failure.value = error),
      rows: (rows) => this.apply(rows),
      desk: (push) => this.desk.pushed(push, this.channel.client),
      notice: (code, message, level) => this.notice(code, message, levelOf(level)),
      open: (id) => this.openLightbox(id),
      time: (time) => this.clock.set(time),
      feed: (action) => this.turnFeed(action),
    });
    this.link = computed(() => {
      const { value: state } = this.channel.state;
      // What waits for its part is not up to date yet.
      return state === "live" && !this.parts.complete ? "connecting" : state;
    });
    this.linkNote = this.channel.note;
    this.now = this.clock.now;
    this.toasts = this.messages.value;
    const call = <T>(op: Op, args: object, options?: CallOptions): Promise<T> =>
      this.call<T>(op, args, options);
    this.desk = new DeskStore(
      (args) => call("desk.set", args),
      this.models,
      (error) => this.toast(error.message, "error"),
    );
    this.feed = new Feed(this.rows, call);
    this.topics = computed(() =>
      [...this.topicRows.value.values()].sort((a, b) => b.updated_at - a.updated_at),
    );
    this.projects = computed(() => [...this.projectRows.value.values()]);
    this.submissions = new Submissions({
      rows: this.rows,
      feed: this.feed,
      desk: this.desk,
      call,
      now: () => this.clock.exact(),
      unit: () => this.desk.model.peek()?.unit ?? null,
      putTopic: (row) => this.putTopic(row),
      fail: (error) => this.refused(error),
    });
    this.pictures = new Pictures((op, args, options) => this.channel.call(op, args, options));
    this.parts = new Parts(
      bringer((op, args, options) => this.channel.call(op, args, options), String(model.get("_hash"))),
    );
    this.stops.push(
      effect(() => {
        const topicId = this.desk.topicId.value;
        if (this.hello.peek()?.feed !== undefined) this.feed.open(topicId);
      }),
      effect(() => {
        if (this.link.value !== "live") return;
        this.desk.flush();
        this.pictures.again();
      }),
      effect(() => {
        if (this.channel.state.value === "live") this.parts.again();
      }),
    );
    this.channel.start();
  }

  /** Bring the parts of the front end that the widget needs. */
  bring(needs: Needs): void {
    this.parts.begin(needs, () => this.hello.value !== null, () => this.pictures.busy);
  }

  generation(id: string): ReadonlySignal<GenerationRow | undefined> {
    return this.rows.generation(id);
  }

  batch(id: string): ReadonlySignal<BatchRow | undefined> {
    return this.rows.batch(id);
  }

  latest(batchId: string): ReadonlySignal<string[]> {
    return this.rows.latest(batchId);
  }

  /** A name of the batch that stays when the kernel's row takes the place of the optimistic one. */
  keyOf(batchId: string): string {
    return this.rows.batchRow(batchId)?.client_key ?? batchId;
  }

  /** The kernel's time this very moment, UTC ms; `now` ticks only now and then. */
  time(): number {
    return this.clock.exact();
  }

  /** Ask the kernel; throws WorkbenchError. What a click changed shows before this returns. */
  async call<T>(op: Op, args: object = {}, options: CallOptions = {}): Promise<T> {
    const { data } = await this.ask<T>(op, args, options);
    return data;
  }

  /** As `call`, with the binary parts of the answer. */
  async ask<T>(op: Op, args: object = {}, options: CallOptions = {}): Promise<Answer<T>> {
    const answer = await this.channel.call<T>(op, args, options);
    if (ROWS_OF.has(op)) this.takeIn(answer.data as AnswerRows);
    return answer;
  }

  /** Ask for pictures. They show at once; what goes wrong is told, and thrown. */
  submit(prompt: string, options: SubmitOptions = {}): Promise<void> {
    this.refusal.value = "";
    return this.submissions.submit(prompt, options);
  }

  private refused(error: unknown): void {
    const text = reasonOf(error);
    // A limit is no event that passes: it is said where the next prompt is written.
    if (error instanceof WorkbenchError && error.code === "limit_reached") this.refusal.value = text;
    else this.toast(text, "error");
  }

  /** Whether people may use a setting, by its name. */
  shows(control: string): boolean {
    return this.offer.controls.value?.includes(control) ?? true;
  }

  /** Say hello again after `failure`. */
  retry(): void {
    this.failure.value = null;
    this.channel.start();
  }

  undoable(text: string, undo: () => Promise<void>): void {
    this.messages.add(text, "info", async () => {
      try {
        await undo();
      } catch (error) {
        if (!isAborted(error)) this.toast(reasonOf(error), "error");
      }
    });
  }

  toast(text: string, level: Level = "info"): void {
    if (text) this.messages.add(text, level);
  }

  dropNotice(code: string): void {
    const next = new Map(this.notices.peek());
    next.delete(code);
    this.notices.value = next;
  }

  private notice(code: string, message: string, level: Level): void {
    if (message === "") this.dropNotice(code); // true no more
    else if (LASTING.has(code)) this.notices.value = new Map(this.notices.peek()).set(code, { message, level });
    else this.toast(message, level);
  }

  dismiss(toastId: number): void {
    this.messages.dismiss(toastId);
  }

  openLightbox(generationId: string): void {
    this.lightbox.value = generationId;
  }

  dispose(): void {
    for (const stop of this.stops) stop();
    this.desk.dispose();
    this.parts.dispose();
    this.channel.dispose();
    this.feed.dispose();
    this.pictures.dispose();
    this.clock.dispose();
  }

  /** Python asks for it: `refresh()`, `load_more()`. */
  private turnFeed(action: string): void {
    const turned = action === "refresh" ? this.feed.refresh() : this.feed.loadOlder();
    turned.catch((error: unknown) => this.toast(reasonOf(error), "error"));
  }

  // -- what the kernel tells ------------------------------------------------------------------------

  private start(hello: Hello, again: boolean): void {
    if (hello.version !== VERSION) {
      this.failure.value = new WorkbenchError("version", t("error.version"));
      return;
    }
    batch(() => {
      this.failure.value = null;
      this.setModels(hello);
      if (hello.topics) this.topicRows.value = byId(hello.topics);
      this.olderTopics.value = hello.older_topics ?? null;
      if (hello.projects) this.projectRows.value = byId(hello.projects);
      if (hello.balances) {
        this.balances.value = new Map(hello.balances.map((row) => [row.unit, row]));
      }
      if (hello.queue) this.queue.value = hello.queue;
      if (hello.examples) this.examples.value = hello.examples;
      this.desk.start(hello.desk, hello.desk_rev);
      if (hello.feed !== undefined) {
        this.feed.start(this.desk.topicId.peek(), hello.feed, again);
        for (const row of hello.feed?.batches ?? []) this.submissions.found(row);
      }
      this.hello.value = hello;
    });
  }

  /** Providers were set up: what can be used has changed. */
  takeProviders({ models, providers }: { models: ModelInfo[]; providers: ProviderInfo[] }): void {
    batch(() => this.setModels({ models, providers }));
  }

  private setModels({ models, providers }: Pick<Hello, "models" | "providers">): void {
    if (models) this.models.value = models;
    if (providers) this.providers.value = providers;
  }

  /** Take rows over; each at most once, whatever comes twice. One rendering for all of them. */
  private apply(rows: readonly DeltaRow[]): void {
    batch(() => {
      const byBatch = new Map<string, GenerationRow[]>();
      for (const row of rows) {
        if (row.e !== "generation" || row.k !== "put") continue;
        byBatch.set(row.d.batch_id, [...(byBatch.get(row.d.batch_id) ?? []), row.d]);
        // Something has ended: a limit that was reached may be no more.
        if (row.d.mine && !isOpen(row.d)) this.refusal.value = "";
      }
      // Batches first: a generation is only taken in where its batch is.
      for (const row of rows) {
        if (row.e === "batch") this.applyBatch(row, byBatch.get(row.id) ?? []);
      }
      for (const row of rows) if (row.e !== "batch") this.applyRow(row);
      for (const topicId of this.touched) this.feed.windowOf(topicId)?.publish();
      this.touched.clear();
    });
  }

  private readonly touched = new Set<string>();

  private applyBatch(row: DeltaRow, generations: readonly GenerationRow[]): void {
    if (row.k === "gone") {
      const known = this.rows.batchRow(row.id);
      if (known) this.feed.windowOf(known.topic_id)?.gone(row.id);
      if (known) this.touched.add(known.topic_id);
      this.rows.dropBatch(row.id, row.rev);
      return;
    }
    if (row.e !== "batch" || this.submissions.seen(row.d, generations)) return;
    this.feed.windowOf(row.d.topic_id)?.putBatch(row.d, generations.some(isOpen));
    this.touched.add(row.d.topic_id);
  }

  private applyRow(row: DeltaRow): void {
    if (row.e === "generation") {
      if (row.k === "put") this.putGeneration(row.d);
      else this.dropGeneration(row.id, row.rev);
    } else if (row.e === "topic") {
      if (row.k === "put") this.putTopic(row.d);
      else this.dropTopic(row.id);
    } else if (row.e === "project") {
      const next = new Map(this.projectRows.peek());
      if (row.k === "put") next.set(row.id, row.d);
      else next.delete(row.id);
      this.projectRows.value = next;
      // Its topics went with it, although nothing changed in them.
      if (row.k === "gone") {
        for (const topic of [...this.topicRows.peek().values()]) if (topic.project_id === row.id) this.dropTopic(topic.id);
      }
    } else if (row.e === "balance") {
      this.balances.value = new Map(this.balances.peek()).set(row.d.unit, row.d);
    } else if (row.e === "queue") {
      this.queue.value = row.d;
    } else if (row.e === "models") {
      this.readModels();
    }
  }

  private putGeneration(row: GenerationRow): void {
    const window = this.feed.windowOf(row.topic_id);
    const isKnown = this.rows.has(row.batch_id);
    const isNews = this.rows.putGeneration(row);
    if (!window) return;
    if (!isKnown && isOpen(row)) this.feed.readActive(window);
    if (!isNews) return;
    window.changed(row.batch_id);
    this.touched.add(row.topic_id);
  }

  private dropGeneration(id: string, rev: number): void {
    const row = this.rows.generationRow(id);
    const batchId = this.rows.dropGeneration(id, rev);
    if (!row || batchId === undefined) return;
    this.feed.windowOf(row.topic_id)?.changed(batchId);
    this.touched.add(row.topic_id);
  }

  /** The next page of topics; without one, only what lies beyond is told again. */
  takeTopics(rows: readonly TopicRow[], beyond: OlderTopics | null): void {
    batch(() => {
      this.putTopics(rows);
      this.olderTopics.value = beyond;
    });
  }

  private putTopic(row: TopicRow): void {
    this.putTopics([row]);
  }

  private putTopics(rows: readonly TopicRow[]): void {
    const known = this.topicRows.peek();
    const news = rows.filter((row) => !((known.get(row.id)?.rev ?? 0) > row.rev));
    if (news.length > 0) this.topicRows.value = new Map([...known, ...byId(news)]);
    const gone = this.goneTopics.peek();
    if (!news.some((row) => gone.has(row.id))) return;
    const back = byId(news);
    this.goneTopics.value = new Set([...gone].filter((id) => !back.has(id)));
  }

  private dropTopic(id: string): void {
    const next = new Map(this.topicRows.peek());
    next.delete(id);
    this.topicRows.value = next;
    this.goneTopics.value = new Set([...this.goneTopics.peek(), id]);
    // One that was not listed may have gone: who shows how many there are looks again.
    if (this.olderTopics.peek()) this.olderTopics.value = { ...this.olderTopics.peek()! };
    // The desk leaves a topic that is gone by itself, for its neighbour (TOP-6).
    this.feed.dropTopic(id);
  }

  private takeIn({ row, rows, topic, project }: AnswerRows): void {
    batch(() => {
      for (const one of [...(row ? [row] : []), ...(rows ?? [])]) this.putGeneration(one);
      if (topic) this.putTopic(topic);
      if (project) this.projectRows.value = new Map(this.projectRows.peek()).set(project.id, project);
      for (const topicId of this.touched) this.feed.windowOf(topicId)?.publish();
      this.touched.clear();
    });
  }

  /** Prices or providers changed. (The cursor of that hello is not ours: a gap that mends itself.) */
  private readModels(): void {
    this.channel.call<Hello>("hello", { version: VERSION, token: visitorToken() }).then(
      ({ data }) => this.setModels(data),
      (error: unknown) => {
        if (!isAborted(error)) console.warn("image-workbench: models not read again", error);
      },
    );
  }
}

function byId<T extends { id: string }>(rows: readonly T[]): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [row.id, row]));
}

function levelOf(level: string): Level {
  return level === "error" || level === "warning" || level === "success" ? level : "info";
}
