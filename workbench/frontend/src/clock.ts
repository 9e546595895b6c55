/** The kernel's time on the page: relative times ("4 min ago") must not depend on two clocks. */

import { type ReadonlySignal, signal } from "@preact/signals";

const TICK_MS = 10_000;

export class Clock {
  private offset = 0;
  private readonly ticks = signal(Date.now());
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly seen = (): void => this.follow();

  constructor() {
    globalThis.document?.addEventListener("visibilitychange", this.seen);
    this.follow();
  }

  /** Kernel time in UTC ms; changes each 10 s while the page is visible. */
  get now(): ReadonlySignal<number> {
    return this.ticks;
  }

  /** Kernel time this very moment. */
  exact(): number {
    return Date.now() + this.offset;
  }

  /** Take over the kernel's time. A message is under way for a while: small differences are that. */
  set(kernelTime: number): void {
    const offset = kernelTime - Date.now();
    if (Math.abs(offset - this.offset) < 500) return;
    this.offset = offset;
    this.ticks.value = this.exact();
  }

  dispose(): void {
    clearInterval(this.timer);
    globalThis.document?.removeEventListener("visibilitychange", this.seen);
  }

  private follow(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    if (globalThis.document?.hidden) return;
    this.ticks.value = this.exact();
    this.timer = setInterval(() => (this.ticks.value = this.exact()), TICK_MS);
  }
}
