/** Requests that wait for an answer: each has a `rid`, is repeated when the answer stays away (the
 *  kernel answers a repeated click with the answer of the first), and ends with an error. */

import { WorkbenchError } from "./errors";
import type { Failure, Op } from "./protocol";
import { t } from "./texts";

/** Clicks: the kernel runs them in order and remembers their answers. Mirrors Rate.ACT. */
const ACTING: ReadonlySet<Op> = new Set<Op>([
  "submit", "cancel", "retry", "retry_failed", "resolve", "run_next", "pause", "resume", "delete",
  "restore", "judge", "topic.create", "topic.update", "project.create", "project.update",
  "desk.set", "upload.begin", "upload.end", "upload.abort",
]);
const REPEAT_MS = { act: [3000, 8000], read: [10_000] };
const GIVE_UP_MS = 20_000;

export interface Answer<T> { data: T; buffers: DataView[] }
export interface CallOptions {
  signal?: AbortSignal | undefined;
  buffers?: ArrayBuffer[];
  /** How long to wait, for what is known to take long. */
  patienceMs?: number;
  /** When to say it again, ms after the first time; what is usual for the operation unless given. */
  againMs?: readonly number[];
}
type Send = (op: Op, rid: string, args: object, buffers: ArrayBuffer[]) => void;

interface Waiting {
  op: Op;
  args: object;
  buffers: ArrayBuffer[];
  timers: ReturnType<typeof setTimeout>[];
  end(): void;
  resolve(answer: Answer<unknown>): void;
  reject(error: WorkbenchError): void;
}

export class Requests {
  private readonly waiting = new Map<string, Waiting>();
  private count = 0;

  constructor(private readonly send: Send) {}

  call<T>(op: Op, args: object, { signal, buffers = [], patienceMs = GIVE_UP_MS, againMs }: CallOptions = {}): Promise<Answer<T>> {
    if (signal?.aborted) return Promise.reject(WorkbenchError.here("aborted"));
    const rid = (++this.count).toString(36);
    return new Promise<Answer<T>>((resolve, reject) => {
      const abort = (): void => {
        this.send("abort", this.next(), { request: rid }, []);
        this.fail(rid, WorkbenchError.here("aborted"));
      };
      const again = againMs ?? REPEAT_MS[ACTING.has(op) ? "act" : "read"];
      const timers = again.map((ms) => setTimeout(() => this.send(op, rid, args, buffers), ms));
      timers.push(
        setTimeout(() => this.fail(rid, WorkbenchError.here("no_answer")), patienceMs),
      );
      const end = (): void => {
        timers.forEach(clearTimeout);
        signal?.removeEventListener("abort", abort);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.waiting.set(rid, {
        op, args, buffers, timers, end, reject,
        resolve: resolve as (answer: Answer<unknown>) => void,
      });
      this.send(op, rid, args, buffers);
    });
  }

  /** A rid for a message that gets no answer. */
  next(): string {
    return (++this.count).toString(36);
  }

  /** Take an answer; false if nothing waits for it (given up, or answered before). */
  answer(rid: string, ok: boolean, data: unknown, error: Failure | undefined, buffers: DataView[]): boolean {
    const waiting = this.waiting.get(rid);
    if (!waiting) return false;
    this.waiting.delete(rid);
    waiting.end();
    if (ok) waiting.resolve({ data: data ?? {}, buffers });
    else waiting.reject(WorkbenchError.of(error ?? { code: "internal", message: t("error.no_reason") }));
    return true;
  }

  /** The connection is back: what was on its way then may be lost. */
  repeat(): void {
    for (const [rid, { op, args, buffers }] of this.waiting) this.send(op, rid, args, buffers);
  }

  failAll(error: WorkbenchError): void {
    for (const rid of [...this.waiting.keys()]) this.fail(rid, error);
  }

  private fail(rid: string, error: WorkbenchError): void {
    const waiting = this.waiting.get(rid);
    this.waiting.delete(rid);
    waiting?.end();
    waiting?.reject(error);
  }
}
