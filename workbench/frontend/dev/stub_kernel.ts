/** A kernel that lives in the page and speaks the protocol: for the development page and vitest.
 *
 * It keeps its own rows, runs made-up jobs and honours cursors, acknowledgements, repeated
 * requests and pings as the real channel does. It is a development tool and never shipped.
 */

import type {
  BatchRow, DeltaRow, Desk, GenerationRow, Hello, TopicFeed, TopicRow,
} from "../src/protocol";
import { PING_EVERY_MS, VERSION } from "../src/protocol";
import * as data from "./stub_data";
import { OPERATIONS } from "./stub_operations";
import { StubModel, type Message } from "./stub_model";

export type StubState =
  | "normal" | "quiet" | "empty" | "loading" | "error" | "feederror" | "offline" | "dead" | "restarting"
  | "diskfull" | "paused" | "active" | "failed" | "huge"
  // Of visitors: nobody knows them, few images left, none left, many before them, storage that goes.
  | "refused" | "few" | "limited" | "queue" | "temporary" | "ended";

export type Painter = (seed: number, width: number, height: number, roughness: number) => Promise<ArrayBuffer>;

export interface StubOptions {
  state?: StubState;
  /** One way, milliseconds. */
  latency?: number;
  batches?: number;
  painter?: Painter;
  /** How long one picture takes. */
  jobMs?: number;
  scopes?: string[];
  voila?: boolean;
  /** So many topics are listed at once. */
  listed?: number;
}

interface Client { model: StubModel; cursor: number; inFlight: boolean; waiting: boolean }
export interface Reply { data?: object; buffers?: ArrayBuffer[] }
export class StubError extends Error {
  constructor(readonly code: string, message: string, readonly field: string | null = null) {
    super(message);
  }
}

export class StubKernel {
  readonly state: StubState;
  readonly topics = new Map<string, TopicRow>();
  readonly projects = new Map(data.PROJECTS.map((row) => [row.id, row]));
  readonly batches = new Map<string, BatchRow>();
  readonly generations = new Map<string, GenerationRow>();
  /** Batch ids by topic, newest first. */
  readonly order = new Map<string, string[]>();
  readonly members = new Map<string, string[]>();
  readonly trash = new Map<string, { topic?: TopicRow; batch?: BatchRow; generation?: GenerationRow }>();
  readonly log: { op: string; rid: string; args: Record<string, unknown> }[] = [];
  desk: Desk;
  deskRev = 1;
  balance = 1_250_000_000;
  paused = false;
  /** Images of others before the first of ours; null: none of ours waits. */
  ahead: number | null = null;
  /** Of a visitor, today; null: nobody counts. */
  left: number | null = null;
  seq = 100;
  next = 100_000;
  /** Fault injection: true = this message is lost. */
  drop: (direction: "in" | "out", message: Message) => boolean = () => false;
  latency: number;
  painter: Painter;
  jobMs: number;
  scopes: string[];
  readonly listed: number;
  readonly began = Date.now();
  private readonly voila: boolean;
  private readonly changes = new Map<string, { seq: number; row: DeltaRow }>();
  private readonly clients = new Map<string, Client>();
  private readonly answered = new Map<string, [Message, ArrayBuffer[]]>();
  private readonly timers = new Set<ReturnType<typeof setInterval>>();
  private pings = 0;
  private oldest = 0;

  constructor(options: StubOptions = {}) {
    this.state = options.state ?? "normal";
    this.latency = options.latency ?? 20;
    this.jobMs = options.jobMs ?? 3000;
    this.painter = options.painter ?? (async () => new ArrayBuffer(8));
    this.voila = options.voila ?? false;
    this.listed = options.listed ?? 1000;
    this.left = ({ few: 7, limited: 0 } as Record<string, number>)[this.state] ?? null;
    if (this.state === "queue") this.ahead = 12;
    this.scopes = options.scopes ?? ["models", "topics", "feed", "balance", "queue"];
    this.desk = data.startDesk(this.state === "empty" ? null : data.id("T", 1));
    if (this.state !== "empty") this.fill(options.batches ?? (this.state === "huge" ? 25_000 : 40));
    if (this.state === "paused") this.paused = true;
    this.timers.add(setInterval(() => this.ping(), PING_EVERY_MS));
    this.timers.add(setInterval(() => OPERATIONS.tick(this, 120), 120));
  }

  connect(traits: Record<string, unknown>): StubModel {
    const model = new StubModel(traits, (content, buffers) => {
      if (this.drop("in", content)) return;
      setTimeout(() => void this.receive(model, content, buffers), this.latency);
    });
    return model;
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers.clear();
  }

  // -- rows ---------------------------------------------------------------------------------------

  batch(id: string): BatchRow | undefined {
    const known = this.batches.get(id);
    if (known || this.state !== "huge" || this.trash.has(id)) return known;
    const number = data.numberOf(id);
    const made = data.batchRow(data.id("T", 1), number, Date.now(), (25_000 - number) * 240_000);
    this.batches.set(id, made);
    for (const row of data.generationRows(made)) this.addGeneration(row);
    return made;
  }

  generation(id: string): GenerationRow | undefined {
    const known = this.generations.get(id);
    if (known || this.state !== "huge" || this.trash.has(id)) return known;
    this.batch(data.id("B", Math.floor(data.numberOf(id) / 16)));
    return this.generations.get(id);
  }

  rowsOf(batchId: string): GenerationRow[] {
    this.batch(batchId);
    return (this.members.get(batchId) ?? []).map((id) => this.generations.get(id)!).filter(Boolean);
  }

  latestOf(batchId: string): GenerationRow[] {
    const byIndex = new Map<number, GenerationRow>();
    for (const row of this.rowsOf(batchId)) {
      const other = byIndex.get(row.index);
      if (!other || other.seq < row.seq) byIndex.set(row.index, row);
    }
    return [...byIndex.values()].sort((a, b) => a.index - b.index);
  }

  addGeneration(row: GenerationRow): void {
    this.generations.set(row.id, row);
    const members = this.members.get(row.batch_id) ?? [];
    if (!members.includes(row.id)) this.members.set(row.batch_id, [...members, row.id]);
  }

  addBatch(row: BatchRow): void {
    this.batches.set(row.id, row);
    this.order.set(row.topic_id, [row.id, ...(this.order.get(row.topic_id) ?? []).filter((x) => x !== row.id)]);
  }

  feed(topicId: string, limit = 20): TopicFeed {
    const page = this.page(topicId, 0, limit);
    const active = (this.order.get(topicId) ?? []).slice(0, 60).filter((id) =>
      this.latestOf(id).some((row) => OPERATIONS.isOpen(row)));
    const rows = active.filter((id) => !page.batches.some((b) => b.id === id));
    page.batches.push(...rows.map((id) => this.batch(id)!));
    page.generations.push(...rows.flatMap((id) => this.latestOf(id)));
    return { ...page, topic_id: topicId, active };
  }

  page(topicId: string, from: number, limit: number): Omit<TopicFeed, "topic_id" | "active"> {
    const order = this.order.get(topicId) ?? [];
    const ids = order.slice(from, from + limit);
    return {
      batches: ids.map((id) => this.batch(id)!),
      generations: ids.flatMap((id) => this.latestOf(id)),
      older: from + limit < order.length && ids.length ? ids[ids.length - 1]! : null,
      newer: from > 0 && ids.length ? ids[0]! : null,
    };
  }

  // -- changes ------------------------------------------------------------------------------------

  /** Note a change; it reaches the pages with the next delta. */
  put(e: "generation" | "batch" | "topic" | "project", row: GenerationRow | BatchRow | TopicRow | { id: string; rev: number }): void {
    row.rev += 1;
    this.note({ e, id: row.id, k: "put", rev: row.rev, d: { ...row } } as DeltaRow);
  }

  gone(e: "generation" | "batch" | "topic" | "project", id: string, rev: number): void {
    this.note({ e, id, k: "gone", rev });
  }

  spend(micro: number, reason: string): void {
    this.balance += micro;
    this.seq += 1;
    this.note({ e: "balance", id: "token", k: "put", rev: this.seq, d: { unit: "token", amount_micro: this.balance, change_micro: micro, reason, transaction_id: data.id("X", this.seq) } });
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    this.tellQueue();
  }

  setAhead(ahead: number | null): void {
    this.ahead = ahead;
    this.tellQueue();
  }

  private tellQueue(): void {
    this.note({ e: "queue", id: "queue", k: "put", rev: this.seq, d: { paused: this.paused, ahead: this.ahead } });
  }

  note(row: DeltaRow): void {
    this.seq += 1;
    const key = row.e + row.id;
    this.changes.delete(key);
    this.changes.set(key, { seq: this.seq, row });
    for (const [id, client] of this.clients) this.schedule(id, client);
  }

  /** Forget the past: a page with an older cursor is told to start anew. */
  forget(): void {
    this.oldest = this.seq;
    this.changes.clear();
  }

  since(cursor: number): { rows: DeltaRow[]; reset: boolean } {
    if (cursor < this.oldest) return { rows: [], reset: true };
    const rows = [...this.changes.values()].filter((change) => change.seq > cursor).map((c) => c.row);
    return { rows, reset: false };
  }

  private schedule(id: string, client: Client): void {
    if (client.waiting || client.inFlight) return;
    client.waiting = true;
    setTimeout(() => {
      client.waiting = false;
      this.flush(id, client);
    }, 10);
  }

  private flush(id: string, client: Client): void {
    if (client.inFlight || client.cursor === this.seq) return;
    const { rows, reset } = this.since(client.cursor);
    const prev = client.cursor;
    client.cursor = this.seq;
    client.inFlight = true;
    this.send(client.model, { push: "delta", to: id, prev: `c${prev}`, cursor: `c${this.seq}`, rows, more: false, reset });
  }

  // -- messages -----------------------------------------------------------------------------------

  send(model: StubModel, content: Message, buffers: ArrayBuffer[] = []): void {
    if (this.drop("out", content)) return;
    setTimeout(() => model.deliver(structuredClone(content), buffers.map((buffer) => new DataView(buffer))), this.latency);
  }

  notice(code: string, message: string, level = "error"): void {
    for (const [id, client] of this.clients) this.send(client.model, { push: "notice", to: id, code, message, level });
  }

  private ping(): void {
    this.pings += 1;
    for (const model of new Set([...this.clients.values()].map((client) => client.model))) {
      this.send(model, { push: "ping", to: null, n: this.pings, at: Date.now() });
    }
  }

  private async receive(model: StubModel, content: Message, buffers: ArrayBuffer[]): Promise<void> {
    const { op, rid, client, args } = content as { op: string; rid: string; client: string; args: Record<string, unknown> };
    if (!["pong", "ack"].includes(op)) this.log.push({ op, rid, args });
    if (this.state === "loading") return;
    const known = this.clients.get(client);
    if (op === "pong" || op === "probe" || op === "abort") return;
    if (op === "bye") return void this.clients.delete(client);
    if (op === "ack") {
      if (known && args["cursor"] === `c${known.cursor}`) {
        known.inFlight = false;
        if (known.cursor !== this.seq) setTimeout(() => this.flush(client, known), 90);
      }
      return;
    }
    const key = `${client}/${rid}`;
    const before = this.answered.get(key);
    if (before) return this.send(model, ...before);
    let answer: Message;
    let out: ArrayBuffer[] = [];
    try {
      const reply = op === "hello" ? this.hello(model, client) : op === "since" ? this.catchUp(model, client, args) : await OPERATIONS.run(this, op, args, client, buffers);
      answer = { rid, to: client, ok: true, data: reply.data ?? {} };
      out = reply.buffers ?? [];
    } catch (error) {
      const failure = error instanceof StubError ? error : new StubError("internal", String(error));
      answer = { rid, to: client, ok: false, error: { code: failure.code, message: failure.message, field: failure.field } };
    }
    if (OPERATIONS.isActing(op)) this.answered.set(key, [answer, out]);
    this.send(model, answer, out);
  }

  private catchUp(model: StubModel, id: string, args: Record<string, unknown>): Reply {
    const from = Number(String(args["cursor"]).slice(1));
    const { rows, reset } = this.since(from);
    this.clients.set(id, { model, cursor: this.seq, inFlight: false, waiting: false });
    return { data: { prev: `c${from}`, cursor: `c${this.seq}`, rows, more: false, reset } };
  }

  private hello(model: StubModel, id: string): Reply {
    if (this.state === "error") {
      throw new StubError("internal", "The workspace could not be opened: the disk is read-only. Free the folder and run the cell again.");
    }
    if (this.state === "refused") {
      throw new StubError("not_allowed", "This page belongs to somebody else. Reload it.");
    }
    this.clients.set(id, { model, cursor: this.seq, inFlight: false, waiting: false });
    const has = (scope: string): boolean => this.scopes.includes(scope);
    const hello: Hello = {
      version: VERSION, widget: String(model.get("_widget")), user: "you", now: Date.now(),
      workspace: { id: "w", title: "Workspace", temporary: this.state === "temporary", trash_days: 30 }, cursor: `c${this.seq}`,
      desk: this.desk, desk_rev: this.deskRev, voila: this.voila,
      identity: this.voila ? "anonymous" : "local",
      limits: this.left === null ? null : { images_per_day: 100, images_left: this.left, unfinished: 8, queue: 200 },
    };
    if (has("models")) Object.assign(hello, { models: data.MODELS, providers: data.PROVIDERS, examples: data.EXAMPLES });
    if (has("topics")) {
      Object.assign(hello, OPERATIONS.topics(this, { cursor: "0" }).data, { projects: [...this.projects.values()] });
    }
    if (has("feed")) hello.feed = this.desk.topic_id && this.state !== "feederror" ? this.feed(this.desk.topic_id) : null;
    if (has("balance")) hello.balances = [{ unit: "token", amount_micro: this.balance, change_micro: 0, reason: "", transaction_id: null }];
    if (has("queue")) hello.queue = { paused: this.paused, ahead: this.ahead };
    return { data: structuredClone(hello) };
  }

  pushDesk(from: string | null, n: number | null): void {
    this.deskRev += 1;
    const desk = structuredClone(this.desk);
    for (const [id, client] of this.clients) this.send(client.model, { push: "desk", to: id, rev: this.deskRev, desk, from_client: from, from_n: n });
  }

  // -- the made-up past ---------------------------------------------------------------------------

  private fill(count: number): void {
    const now = Date.now();
    const titles = ["Harbour studies", "Forest, four seasons", "Village sketches", "Figure 3, night", "Palette sweep", "A very long topic title that does not fit the side bar at all"];
    let number = 0;
    titles.forEach((title, i) => {
      const topicId = data.id("T", i + 1);
      const batches = i === 0 ? count : [9, 4, 3, 12, 2][i - 1]!;
      const order: string[] = [];
      if (i > 0) number = 60_000 + i * 100;
      for (let k = 0; k < batches; k++) {
        number += 1;
        order.unshift(data.id("B", number));
        if (this.state === "huge" && i === 0) continue;
        const row = data.batchRow(topicId, number, now, (batches - k) ** 1.6 * 240_000 + i * 7_200_000);
        this.batches.set(row.id, row);
        for (const generation of data.generationRows(row)) this.addGeneration(generation);
      }
      this.order.set(topicId, order);
      const cover = this.latestOf(order[0]!)[0]!.id;
      this.topics.set(topicId, data.topicRow(i + 1, title, batches * 3, i * 9_000_000 + 60_000, now, cover, i > 2 ? 2 : 1));
    });
    this.topics.set(data.id("T", 9), data.topicRow(9, "Untitled", 0, 40 * 86_400_000, now, null));
    this.order.set(data.id("T", 9), []);
    OPERATIONS.dress(this);
  }
}
