/** The page's end of a widget's comm: requests and their answers, pushes, and the cursor.
 *
 *  The page knows everything up to its cursor. Each delta says which cursor it follows; where that
 *  is another one something was lost, and the page asks for all since its own. Nothing is polled.
 */

import type { ReadonlySignal } from "@preact/signals";

import { WorkbenchError } from "./errors";
import { hearAgain } from "./hearing";
import { Link, type LinkNote, type LinkState } from "./link";
import type { Model } from "./model";
import type { Delta, DeltaRow, DeskPush, Failure, Hello, Op } from "./protocol";
import { VERSION } from "./protocol";
import { type Answer, type CallOptions, Requests } from "./requests";
import { visitorToken } from "./visitor";

/** When `hello` and `since` are said again, until they are answered; ms after the first. */
const AGAIN_MS = [700, 1500, 3000, 6000, 12_000];
const AGAIN_EVERY_MS = 15_000;
const AGAIN_WHEN_DEAD = 4;
const DEAF_AFTER = 3; // sayings without any answer

export interface ChannelEvents {
  /** The page starts anew from here; `again`: it has shown something before. */
  hello(hello: Hello, again: boolean): void;
  /** `hello` was refused. */
  refused(error: WorkbenchError): void;
  rows(rows: readonly DeltaRow[]): void;
  desk(push: DeskPush): void;
  notice(code: string, message: string, level: string): void;
  open(generationId: string): void;
  time(kernelTime: number): void;
  /** refresh | more */
  feed(action: string): void;
}

interface Message {
  rid?: string; to?: string | null; ok?: boolean; data?: unknown; error?: Failure;
  push?: string; n?: number; at?: number;
  code?: string; message?: string; level?: string; generation_id?: string;
  action?: string;
}
/** The one open question about where the page stands. */
interface Question { op: "hello" | "since"; rid: string; args: object; asked: number }

export class Channel {
  /** Names this page and model: other pages of the kernel see the same messages. */
  readonly client = `p-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`.slice(0, 40);
  private readonly requests = new Requests((op, rid, args, buffers) =>
    this.send(op, rid, args, buffers),
  );
  private readonly link: Link;
  private cursor: string | null = null;
  private question: Question | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private disposed = false;
  private readonly listen = (message: Message, buffers: DataView[]): void =>
    this.receive(message, buffers ?? []);
  private readonly leave = (): void => this.send("bye", this.requests.next(), {});

  constructor(
    private readonly model: Model,
    private readonly events: ChannelEvents,
  ) {
    this.link = new Link(model, {
      reach: () => this.reach(),
      died: () => {
        clearTimeout(this.timer);
        this.question = null;
        this.requests.failAll(WorkbenchError.here("disconnected"));
      },
    });
    model.on("msg:custom", this.listen);
    globalThis.addEventListener?.("pagehide", this.leave);
  }

  get state(): ReadonlySignal<LinkState> {
    return this.link.state;
  }

  get note(): ReadonlySignal<LinkNote> {
    return this.link.note;
  }

  /** Say hello; also to begin anew (refused before, prices changed). */
  start(): void {
    this.ask("hello", { version: VERSION, token: visitorToken() });
  }

  async call<T>(op: Op, args: object = {}, options: CallOptions = {}): Promise<Answer<T>> {
    if (this.disposed || this.link.state.peek() === "dead") {
      throw WorkbenchError.here("disconnected");
    }
    return this.requests.call<T>(op, args, options);
  }

  dispose(): void {
    if (this.disposed) return;
    this.leave();
    this.disposed = true;
    clearTimeout(this.timer);
    this.requests.failAll(WorkbenchError.here("aborted"));
    this.link.dispose();
    this.model.off("msg:custom", this.listen);
    globalThis.removeEventListener?.("pagehide", this.leave);
  }

  // -- where the page stands ------------------------------------------------------------------------

  private ask(op: "hello" | "since", args: object): void {
    clearTimeout(this.timer);
    this.link.setCaughtUp(false);
    this.question = { op, args, rid: this.requests.next(), asked: 0 };
    this.sayAgain();
  }

  private sayAgain(): void {
    const question = this.question;
    if (!question || this.disposed) return;
    if (this.link.state.peek() === "dead" && question.asked >= AGAIN_WHEN_DEAD) return;
    if (question.asked === DEAF_AFTER) hearAgain(this.model);
    this.send(question.op, question.rid, question.args);
    const before = AGAIN_MS[question.asked - 1] ?? 0;
    const next = AGAIN_MS[question.asked];
    question.asked += 1;
    const wait = next === undefined ? AGAIN_EVERY_MS : next - before;
    this.timer = setTimeout(() => this.sayAgain(), wait);
  }

  /** Say something now: the kernel may hear it again, and may have forgotten this page. */
  private reach(): void {
    if (this.disposed) return;
    if (this.question) {
      this.question.asked = 0;
      clearTimeout(this.timer);
      this.sayAgain();
    } else {
      this.catchUp();
    }
    if (this.link.state.peek() !== "dead") this.requests.repeat();
  }

  private catchUp(): void {
    if (this.cursor === null) this.start();
    else if (this.question === null) this.ask("since", { cursor: this.cursor });
  }

  private answered(question: Question, message: Message): void {
    clearTimeout(this.timer);
    this.question = null;
    this.link.revive();
    if (!message.ok) {
      const error = WorkbenchError.of(message.error ?? { code: "internal", message: "" });
      if (question.op === "since") this.start(); // whatever is wrong with the cursor
      else this.events.refused(error);
    } else if (question.op === "hello") {
      const hello = message.data as Hello;
      const again = this.cursor !== null;
      this.cursor = hello.cursor;
      this.events.time(hello.now);
      this.events.hello(hello, again);
      this.link.setCaughtUp(true);
      // What was asked beside it (parts of the front end) may have got lost as it did.
      if (question.asked > 1) this.requests.repeat();
    } else {
      const delta = message.data as Delta;
      this.apply(delta);
      if (delta.more && !delta.reset) this.catchUp();
    }
  }

  private onDelta(delta: Delta): void {
    this.send("ack", this.requests.next(), { cursor: delta.cursor });
    if (this.cursor === null || this.question !== null) return; // the answer to come has it all
    if (delta.reset || delta.prev === this.cursor) this.apply(delta);
    else if (delta.cursor !== this.cursor) this.catchUp(); // a gap; equal = the same one again
  }

  private apply(delta: Delta): void {
    if (delta.reset) return this.start();
    this.cursor = delta.cursor;
    this.events.rows(delta.rows);
    this.link.setCaughtUp(true);
  }

  // -- messages -------------------------------------------------------------------------------------

  private send(op: Op, rid: string, args: object, buffers: ArrayBuffer[] = []): void {
    if (this.disposed) return;
    try {
      this.model.send({ op, rid, client: this.client, args }, undefined, buffers);
    } catch (error) {
      // A host without connection may throw: the message counts as lost and is repeated.
      console.warn("image-workbench: not sent", op, error);
    }
  }

  private receive(message: Message, buffers: DataView[]): void {
    if (this.disposed || typeof message !== "object" || message === null) return;
    if (message.to != null && message.to !== this.client) return;
    if (message.push !== undefined) return this.pushed(message);
    if (message.rid === undefined || message.to !== this.client) return;
    if (this.question?.rid === message.rid) return this.answered(this.question, message);
    this.requests.answer(message.rid, message.ok === true, message.data, message.error, buffers);
  }

  private pushed(message: Message): void {
    switch (message.push) {
      case "ping":
        // Before anything else: a page that is slow to draw is alive all the same.
        this.send("pong", this.requests.next(), { n: message.n ?? 0 });
        if (message.at !== undefined) this.events.time(message.at);
        this.pinged();
        break;
      case "probe":
        this.send("probe", this.requests.next(), { n: message.n ?? 0 });
        break;
      case "delta":
        this.onDelta(message as unknown as Delta);
        break;
      case "desk":
        if (this.cursor !== null) this.events.desk(message as unknown as DeskPush);
        break;
      case "notice":
        this.events.notice(message.code ?? "", message.message ?? "", message.level ?? "info");
        break;
      case "open":
        if (message.generation_id) this.events.open(message.generation_id);
        break;
      case "feed":
        this.events.feed(message.action ?? "");
        break;
      case "closed":
        this.link.closed();
        break;
      default: // of a later version
    }
  }

  private pinged(): void {
    const before = this.link.state.peek();
    this.link.revive();
    this.link.heard();
    if (before !== "offline" && before !== "dead") return;
    this.reach(); // pings were missed, so may have been other messages
  }
}
