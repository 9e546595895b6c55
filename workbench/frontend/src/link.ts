/** Whether events really flow, and what can be done when they do not.
 *
 *  Jupyter tells a widget nothing about a lost connection, so the kernel's pings are the only
 *  proof. Live is decided in the message handler (timers of hidden tabs sleep); the timers here
 *  only turn the light off and try to get back.
 */

import { type ReadonlySignal, signal } from "@preact/signals";

import { type Kernel, kernelOf, type Model } from "./model";
import { LOST_AFTER_MS } from "./protocol";

export type LinkState = "connecting" | "live" | "offline" | "dead";
/** Why it is not live; a key of texts.ts. "" = nothing to say. */
export type LinkNote =
  | "" | "connection_lost" | "browser_offline" | "kernel_restarting" | "kernel_restarted"
  | "kernel_dead" | "widget_closed";

const RECONNECT_SILENT_MS = 6000; // the socket is open; a kernel that is busy is silent, too
const RECONNECT_CLOSED_MS = 1500; // the host knows that it is closed, and waits longer each time
const RECONNECT_MOST_MS = 60_000;
const FINAL: Record<string, LinkNote> = {
  restarting: "kernel_restarting",
  autorestarting: "kernel_restarting",
  dead: "kernel_dead",
  terminating: "kernel_dead",
};

export interface LinkEvents {
  /** There may be a connection again: say something to the kernel. */
  reach(): void;
  /** The kernel of this widget has gone. */
  died(): void;
}

/** Several widgets of a page share a kernel: it is asked to reconnect once, not once for each. */
const reconnects = new WeakMap<Kernel, { at: number; times: number }>();

export class Link {
  readonly state = signal<LinkState>("connecting");
  readonly note = signal<LinkNote>("");
  private heardAt = 0;
  private caughtUp = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private readonly kernel: Kernel | undefined;
  private readonly stops: (() => void)[] = [];

  constructor(
    private readonly model: Model,
    private readonly events: LinkEvents,
  ) {
    this.kernel = kernelOf(model);
    this.follow();
  }

  get value(): ReadonlySignal<LinkState> {
    return this.state;
  }

  /** A ping came. */
  heard(): void {
    this.heardAt = Date.now();
    if (this.kernel) reconnects.delete(this.kernel);
    clearTimeout(this.retry);
    this.update();
  }

  /** Whether the page knows everything up to now. */
  setCaughtUp(caughtUp: boolean): void {
    this.caughtUp = caughtUp;
    this.update();
  }

  /** Python closed the widget. */
  closed(): void {
    this.die("widget_closed");
  }

  /** The kernel speaks after all. */
  revive(): void {
    if (this.state.peek() !== "dead") return;
    this.state.value = "connecting";
    this.note.value = "";
  }

  dispose(): void {
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    for (const stop of this.stops) stop();
  }

  private update(): void {
    if (this.state.peek() === "dead") return;
    clearTimeout(this.timer);
    const silent = Date.now() - this.heardAt;
    if (this.heardAt > 0 && silent <= LOST_AFTER_MS) {
      this.state.value = this.caughtUp ? "live" : "connecting";
      this.note.value = "";
      this.timer = setTimeout(() => this.update(), LOST_AFTER_MS - silent + 10);
    } else if (this.heardAt > 0) {
      this.lose();
    }
  }

  private lose(): void {
    const first = this.state.peek() !== "offline";
    this.state.value = "offline";
    const isOffline = globalThis.navigator?.onLine === false;
    this.note.value = isOffline ? "browser_offline" : "connection_lost";
    if (!first) return;
    this.events.reach();
    this.reconnectLater();
  }

  private reconnectLater(): void {
    clearTimeout(this.retry);
    if (!this.kernel?.reconnect) return;
    this.retry = setTimeout(() => {
      if (this.state.peek() !== "offline") return;
      if (globalThis.navigator?.onLine !== false) this.reconnect();
      this.reconnectLater();
    }, this.patience());
  }

  /** How long to wait for the next attempt; doubled with each. */
  private patience(): number {
    const times = (this.kernel && reconnects.get(this.kernel)?.times) ?? 0;
    const isOpen = this.kernel?.connectionStatus === "connected";
    return Math.min(RECONNECT_MOST_MS, (isOpen ? RECONNECT_SILENT_MS : RECONNECT_CLOSED_MS) * 2 ** times);
  }

  private reconnect(): void {
    const kernel = this.kernel;
    if (!kernel?.reconnect) return;
    const before = reconnects.get(kernel);
    // Another widget of the page may just have done it.
    if (before && Date.now() - before.at < RECONNECT_CLOSED_MS / 2) return;
    reconnects.set(kernel, { at: Date.now(), times: (before?.times ?? 0) + 1 });
    // Failing means still no connection: the next turn tries again.
    kernel.reconnect().then(
      () => this.events.reach(),
      () => undefined,
    );
  }

  private die(note: LinkNote): void {
    clearTimeout(this.timer);
    clearTimeout(this.retry);
    this.heardAt = 0;
    this.note.value = note;
    this.state.value = "dead";
    this.events.died();
  }

  private follow(): void {
    const { kernel, model } = this;
    const on = (event: string, callback: () => void): void => {
      model.on(event, callback);
      this.stops.push(() => model.off(event, callback));
    };
    // The host says that the comm's life changed, not how: a ping revives what is said dead.
    on("comm_live_update", () => {
      this.die(FINAL[kernel?.status ?? ""] === "kernel_dead" ? "kernel_dead" : "kernel_restarted");
      this.events.reach();
    });
    on("comm:close", () => this.die("widget_closed"));
    const connection = (_: unknown, status: string): void => {
      if (status === "connected") this.events.reach();
    };
    const status = (_: unknown, value: string): void => {
      const note = FINAL[value];
      if (note) this.die(note);
      else if (this.note.peek() === "kernel_restarting") this.note.value = "kernel_restarted";
    };
    const gone = (): void => this.die("kernel_dead");
    kernel?.disposed?.connect(gone);
    kernel?.connectionStatusChanged?.connect(connection);
    kernel?.statusChanged?.connect(status);
    this.stops.push(() => {
      kernel?.disposed?.disconnect(gone);
      kernel?.connectionStatusChanged?.disconnect(connection);
      kernel?.statusChanged?.disconnect(status);
    });
    const online = (): void => {
      if (this.state.peek() !== "offline") return;
      this.reconnect();
      this.events.reach();
    };
    const seen = (): void => {
      this.update();
      if (!globalThis.document?.hidden && this.state.peek() === "offline") this.events.reach();
    };
    globalThis.addEventListener?.("online", online);
    globalThis.document?.addEventListener("visibilitychange", seen);
    this.stops.push(() => {
      globalThis.removeEventListener?.("online", online);
      globalThis.document?.removeEventListener("visibilitychange", seen);
    });
  }
}
