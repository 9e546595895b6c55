/** Requests that show at once: rows of our own until the kernel's arrive, which take their place. */

import { batch } from "@preact/signals";

import type { DeskStore } from "./desk";
import { isAborted, isPassing, WorkbenchError } from "./errors";
import type { Feed } from "./feed_data";
import type { FeedWindow } from "./feed_window";
import type { BatchRow, Config, GenerationRow, Op, Submitted, TopicRow } from "./protocol";
import { isLocal, type Rows } from "./rows";

/** Above every real seq, so that what was just submitted is on top. */
const LOCAL_SEQ = Number.MAX_SAFE_INTEGER - 1_000_000;
const SHOWN_PROMPT_CHARACTERS = 600;

export interface SubmitOptions {
  references?: string[];
  /** Other settings than the desk's. */
  config?: Config;
}
interface Host {
  rows: Rows;
  feed: Feed;
  desk: DeskStore;
  call<T>(op: Op, args: object): Promise<T>;
  now(): number;
  /** Whether the model is known to the page, and what it costs. */
  unit(): string | null;
  putTopic(row: TopicRow): void;
  fail(error: unknown): void;
}
interface Made { batch: BatchRow; generations: readonly GenerationRow[] }
interface Pending {
  localId: string;
  window: FeedWindow;
  seen: boolean;
  /** What the kernel made of it; nothing, if it did not take it on. */
  made: Promise<Made | undefined>;
  tell(made?: Made): void;
}
/** What a page asked for, and the key under which the kernel makes it once. */
interface Asked { key: string; prompt: string; what: string }

export class Submissions {
  private readonly pending = new Map<string, Pending>();
  /** Asked for, and nobody knows whether the kernel took it on: its answer was lost. */
  private readonly doubtful = new Map<string, Asked>();
  private count = 0;
  /** The request that brings the first topic into being; the next ones wait for its name. */
  private firstOfTopic: Promise<unknown> | null = null;

  constructor(private readonly host: Host) {}

  async submit(prompt: string, options: SubmitOptions = {}): Promise<void> {
    const { host } = this;
    const config = options.config ?? host.desk.config.peek();
    const what = JSON.stringify([prompt, host.desk.topicId.peek(), config, options.references ?? []]);
    // The same once more, after an answer that was lost: it must not be made, and paid, twice.
    const again = [...this.doubtful.values()].find((one) => one.what === what);
    const key = again?.key ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.show(key, prompt, config);
    if (host.desk.draft.peek() === prompt) host.desk.setDraft("");
    try {
      if (host.desk.topicId.peek() === null && this.firstOfTopic) await this.firstOfTopic;
      const topicId = host.desk.topicId.peek();
      const answer = host.call<Submitted>("submit", {
        client_key: key,
        prompt,
        topic_id: topicId,
        model: config.model || null,
        n: config.n,
        seed: config.seed,
        width: config.width,
        height: config.height,
        negative_prompt: config.negative_prompt || null,
        params: config.params,
        references: options.references ?? [],
      });
      if (topicId === null) {
        // Failed or not: it no longer holds up the others.
        const first: Promise<unknown> = answer.then(
          (submitted) => host.desk.adoptTopic(submitted.topic.id),
          () => undefined,
        ).finally(() => {
          if (this.firstOfTopic === first) this.firstOfTopic = null;
        });
        this.firstOfTopic = first;
      }
      this.arrived(key, await answer);
      this.doubtful.delete(key);
    } catch (error) {
      this.failed({ key, prompt, what }, error);
      throw error;
    }
  }

  /** A delta brought a batch; true if it is one of ours and its generations are not there yet: the
   *  answer brings all of it, and until then our own rows stay. */
  seen(row: BatchRow, generations: readonly GenerationRow[]): boolean {
    this.found(row);
    const pending = row.client_key === null ? undefined : this.pending.get(row.client_key);
    if (!pending) return false;
    pending.seen = true;
    if (generations.length < row.n) return true;
    this.adopt(row.client_key as string, row, generations);
    return true;
  }

  /** A batch is there: what was given back to the box as lost was not. */
  found(row: BatchRow): void {
    const asked = row.client_key === null ? undefined : this.doubtful.get(row.client_key);
    if (asked === undefined) return;
    this.doubtful.delete(asked.key);
    const { desk } = this.host;
    if (desk.draft.peek() === asked.prompt) desk.setDraft("");
  }

  /** The kernel's id of a batch or a generation, also of what it has not answered yet; "aborted" where
   *  it did not take that on, which is told already. */
  async stored(id: string): Promise<string> {
    if (!isLocal(id)) return id;
    const [, key = "", index] = id.split(":");
    const made = await this.pending.get(key)?.made;
    const row = index ? made?.generations.find((one) => one.index === +index) : made?.batch;
    if (!row) throw WorkbenchError.here("aborted");
    return row.id;
  }

  private show(key: string, prompt: string, config: Config): void {
    const { host } = this;
    this.count += 1;
    const seq = LOCAL_SEQ + this.count;
    const now = host.now();
    const id = `local:${key}`;
    const row: BatchRow = {
      id, topic_id: host.desk.topicId.peek() ?? "", seq, operation: "generate", source: "widget",
      prompt: prompt.slice(0, SHOWN_PROMPT_CHARACTERS), prompt_length: prompt.length,
      negative_prompt: config.negative_prompt || null, provider: null, model: config.model || null,
      width: config.width, height: config.height, n: config.n, seed: config.seed,
      params: config.params, client_key: key, created_at: now, mine: true, rev: -1,
    };
    const generations = Array.from({ length: config.n }, (_, index): GenerationRow => ({
      id: `${id}:${index}`, batch_id: id, topic_id: row.topic_id, index, seq,
      operation: row.operation, source: row.source, status: "pending", detail: "",
      detail_key: null, progress: 0, step: null, total_steps: null, attempt: 0, preview: 0,
      seed: null, width: config.width, height: config.height, model: row.model, asset: null,
      error: null, cost_micro: 0, unit: host.unit(), retry_of: null, created_at: now,
      started_at: null, finished_at: null, rating: 0, favourite: false, tags: [], mine: true,
      rev: -1,
    }));
    const window = host.feed.addLocal(row, generations);
    const pending = { localId: id, seen: false, window } as Pending;
    pending.made = new Promise((resolve) => (pending.tell = resolve));
    this.pending.set(key, pending);
  }

  private arrived(key: string, { batch: row, generations, topic }: Submitted): void {
    batch(() => {
      this.host.putTopic(topic);
      this.adopt(key, row, generations);
      this.host.desk.adoptTopic(topic.id);
    });
  }

  private adopt(key: string, row: BatchRow, generations: readonly GenerationRow[]): void {
    const pending = this.pending.get(key);
    if (!pending) {
      // A delta was faster; the answer may know more all the same.
      for (const generation of generations) this.host.rows.putGeneration(generation);
      return;
    }
    this.pending.delete(key);
    pending.tell({ batch: row, generations });
    const { feed } = this.host;
    batch(() => {
      if (pending.window.topicId === null) feed.adoptTopic(row.topic_id);
      const window = feed.windowOf(row.topic_id);
      if (window !== pending.window) {
        pending.window.gone(pending.localId);
        this.host.rows.free(pending.localId);
        pending.window.publish();
      }
      window?.adopt(pending.localId, row, generations);
    });
  }

  private failed(asked: Asked, error: unknown): void {
    const { host } = this;
    const { key, prompt } = asked;
    const pending = this.pending.get(key);
    this.pending.delete(key);
    if (!pending) return; // a delta showed that it was taken on
    pending.tell();
    if (isPassing(error) && !pending.seen) this.doubtful.set(key, asked);
    else this.doubtful.delete(key);
    batch(() => {
      pending.window.gone(pending.localId);
      host.rows.free(pending.localId);
      pending.window.publish();
      if (pending.seen) return host.feed.readActive(pending.window);
      // What somebody has begun to write meanwhile is not overwritten.
      if (!host.desk.draft.peek().trim()) host.desk.setDraft(prompt);
      if (!isAborted(error)) host.fail(error);
    });
  }
}
