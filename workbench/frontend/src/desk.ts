/** Settings, unsent prompt, open topic, selection, panels: shared with Python and with the other
 *  widgets of the notebook.
 *
 *  What is changed here shows at once and is sent a moment later. A push of the kernel is taken over
 *  except for what was changed here and is still on its way: so an echo never overtakes typing.
 */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { isAborted, isPassing, WorkbenchError } from "./errors";
import { fitTo, otherSide } from "./fitting";
import type { Config, Desk, DeskPush, ModelInfo, Panels } from "./protocol";

const SEND_AFTER_MS = 150;

export const NO_CONFIG: Config = {
  model: "", n: 1, seed: null, width: null, height: null, ratio_lock: false,
  negative_prompt: "", params: {},
};
type Part = keyof Config | "draft" | "topic_id" | "selection" | "panels";
interface Change { config?: Partial<Config>; draft?: string; topic_id?: string; selection?: string[]; panels?: Panels }
type Send = (args: Change & { n: number }) => Promise<{ rev?: number } | undefined>;

const same = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

export class DeskStore {
  readonly model: ReadonlySignal<ModelInfo | undefined>;
  /** Labels of what the last change of model did not take over. */
  readonly dropped: ReadonlySignal<string[]>;
  /** The kernel's sentence about that, or "". */
  readonly remark = signal("");

  private readonly configs = signal<Config>(NO_CONFIG);
  private readonly drafts = signal("");
  private readonly topics = signal<string | null>(null);
  private readonly selections = signal<string[]>([]);
  private readonly panelSizes = signal<Panels>({});
  private readonly drops: Signal<string[]> = signal([]);
  /** As the kernel has it. */
  private known: Desk | null = null;
  private rev = -1;
  private n = 0;
  /** Part -> counter of its last change here that the kernel has not confirmed. */
  private readonly changed = new Map<Part, number>();
  private waiting: Change = {};
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly hide = (): void => {
    if (globalThis.document?.hidden) this.flush();
  };

  constructor(
    private readonly send: Send,
    private readonly models: ReadonlySignal<ModelInfo[]>,
    private readonly onRefused: (error: WorkbenchError) => void,
  ) {
    this.model = computed(() => this.models.value.find((one) => one.id === this.configs.value.model));
    this.dropped = this.drops;
    globalThis.document?.addEventListener("visibilitychange", this.hide);
    globalThis.addEventListener?.("pagehide", this.flush);
  }

  get config(): ReadonlySignal<Config> { return this.configs; }
  get draft(): ReadonlySignal<string> { return this.drafts; }
  get topicId(): ReadonlySignal<string | null> { return this.topics; }
  get selection(): ReadonlySignal<string[]> { return this.selections; }
  get panels(): ReadonlySignal<Panels> { return this.panelSizes; }

  // -- changes made here ----------------------------------------------------------------------------

  set(changes: Partial<Config>): void {
    const before = this.configs.peek();
    const model = this.models.peek().find((one) => one.id === (changes.model ?? before.model));
    const changesModel = changes.model !== undefined && changes.model !== before.model;
    // What was set for the model before goes before: the other one may not take it.
    if (changesModel) this.flush();
    batch(() => {
      let fitted: Partial<Config> = {};
      if (changesModel && model) {
        const fit = fitTo(before, this.model.peek(), model);
        fitted = fit.changes;
        this.drops.value = fit.dropped;
        this.remark.value = "";
      } else if (!changesModel) {
        changes = { ...changes, ...otherSide(before, changes, model) };
      }
      this.configs.value = { ...before, ...fitted, ...changes };
      // What only follows from the model is the kernel's to decide: it is not sent.
      this.note({ config: changes }, Object.keys(changes) as Part[]);
    });
  }

  setParam(name: string, value: unknown): void {
    const params = { ...this.configs.peek().params, [name]: value };
    this.configs.value = { ...this.configs.peek(), params };
    const sent = { ...this.waiting.config?.params, [name]: value };
    this.note({ config: { params: sent } }, ["params"]);
  }

  setDraft(text: string): void {
    if (text === this.drafts.peek()) return;
    this.drafts.value = text;
    this.note({ draft: text }, ["draft"]);
  }

  openTopic(id: string | null): void {
    if (id === this.topics.peek()) return;
    batch(() => {
      this.topics.value = id;
      this.selections.value = [];
    });
    this.note({ topic_id: id ?? "" }, ["topic_id", "selection"]);
    this.flush();
  }

  select(ids: string[]): void {
    if (same(ids, this.selections.peek())) return;
    this.selections.value = ids;
    this.note({ selection: ids }, ["selection"]);
  }

  setPanels(panels: Panels): void {
    this.panelSizes.value = { ...this.panelSizes.peek(), ...panels };
    this.note({ panels: { ...this.waiting.panels, ...panels } }, ["panels"]);
  }

  private note(change: Change, parts: Part[]): void {
    const config = { ...this.waiting.config, ...change.config };
    this.waiting = { ...this.waiting, ...change };
    if (Object.keys(config).length) this.waiting.config = config;
    for (const part of parts) this.changed.set(part, this.n + 1);
    clearTimeout(this.timer);
    this.timer = setTimeout(this.flush, SEND_AFTER_MS);
  }

  /** Send what waits now: the page may be about to go, or a click depends on it. */
  readonly flush = (): void => {
    clearTimeout(this.timer);
    const change = this.waiting;
    if (!Object.keys(change).length || this.known === null) return;
    this.waiting = {};
    const n = ++this.n;
    this.send({ ...change, n }).then(
      (answer) => {
        this.confirm(n);
        // Somebody else's later change may have been told before this answer came.
        const told = answer?.rev;
        if (this.known && told !== undefined && told <= this.rev) this.takeOver(this.known);
      },
      (error: unknown) => this.refused(n, change, error),
    );
  };

  private confirm(n: number): void {
    for (const [part, last] of this.changed) if (last <= n) this.changed.delete(part);
  }

  private refused(n: number, change: Change, error: unknown): void {
    if (isPassing(error)) {
      // Not heard: it is sent again with the next change, or when the connection is back. As it is
      // by then: a later change of the same may have been on its way behind it, and got lost, too.
      const now = this.asItIs(change);
      const config = { ...this.waiting.config, ...now.config };
      this.waiting = { ...this.waiting, ...now };
      if (Object.keys(config).length) this.waiting.config = config;
      for (const [part, last] of this.changed) if (last === n) this.changed.set(part, this.n + 1);
      return;
    }
    this.confirm(n);
    if (this.known) this.takeOver(this.known);
    if (!isAborted(error) && error instanceof WorkbenchError) this.onRefused(error);
  }

  /** What a change was about, with the values of now; what was confirmed since is left out. */
  private asItIs(change: Change): Change {
    const now: Change = {};
    const open = (part: Part): boolean => this.changed.has(part);
    if (change.draft !== undefined && open("draft")) now.draft = this.drafts.peek();
    if (change.topic_id !== undefined && open("topic_id")) now.topic_id = this.topics.peek() ?? "";
    if (change.selection !== undefined && open("selection")) now.selection = this.selections.peek();
    if (change.panels !== undefined && open("panels")) now.panels = this.panelSizes.peek();
    const config = this.configs.peek();
    const parts = (Object.keys(change.config ?? {}) as (keyof Config)[]).filter(open);
    if (parts.length) now.config = Object.fromEntries(parts.map((part) => [part, config[part]]));
    if (now.config?.params) {
      const names = Object.keys({ ...change.config?.params, ...this.waiting.config?.params });
      now.config.params = Object.fromEntries(names.map((name) => [name, config.params[name]]));
    }
    return now;
  }

  // -- changes made elsewhere -----------------------------------------------------------------------

  /** The desk as `hello` brings it. */
  start(desk: Desk, rev: number): void {
    this.rev = rev;
    this.known = desk;
    this.takeOver(desk);
    this.flush();
  }

  pushed(push: DeskPush, client: string): void {
    if (push.rev < this.rev) return;
    this.rev = push.rev;
    this.known = push.desk;
    if (push.from_client === client && push.from_n !== null) this.confirm(push.from_n);
    this.takeOver(push.desk);
  }

  /** A topic that a request of this page brought into being. */
  adoptTopic(id: string): void {
    if (this.topics.peek() === null && !this.changed.has("topic_id")) this.topics.value = id;
  }

  private takeOver(desk: Desk): void {
    const free = (part: Part): boolean => !this.changed.has(part);
    batch(() => {
      const config = { ...this.configs.peek() };
      for (const part of Object.keys(NO_CONFIG) as (keyof Config)[]) {
        if (free(part)) Object.assign(config, { [part]: desk.config[part] });
      }
      if (config.model !== this.configs.peek().model) this.drops.value = []; // of another change
      if (!same(config, this.configs.peek())) this.configs.value = config;
      if (free("model")) this.remark.value = desk.remark;
      if (free("draft")) this.drafts.value = desk.draft;
      if (free("topic_id")) this.topics.value = desk.topic_id;
      if (free("selection") && !same(desk.selection, this.selections.peek())) {
        this.selections.value = desk.selection;
      }
      if (free("panels") && !same(desk.panels, this.panelSizes.peek())) {
        this.panelSizes.value = desk.panels;
      }
    });
  }

  dispose(): void {
    this.flush();
    clearTimeout(this.timer);
    globalThis.document?.removeEventListener("visibilitychange", this.hide);
    globalThis.removeEventListener?.("pagehide", this.flush);
  }
}
