/** The page's side of a made-up comm: what anywidget hands to `initialize` and `render`. */

export type Message = Record<string, unknown>;
type Callback = (...args: never[]) => void;

/** A Lumino-like signal. */
export class StubSignal<T> {
  private readonly callbacks = new Set<(sender: unknown, value: T) => void>();
  connect(callback: (sender: unknown, value: T) => void): void { this.callbacks.add(callback); }
  disconnect(callback: (sender: unknown, value: T) => void): void { this.callbacks.delete(callback); }
  emit(value: T): void { for (const callback of [...this.callbacks]) callback(this, value); }
}

export class StubConnection {
  status = "idle";
  connectionStatus = "connected";
  reconnects = 0;
  readonly connectionStatusChanged = new StubSignal<string>();
  readonly statusChanged = new StubSignal<string>();
  readonly disposed = new StubSignal<void>();
  async reconnect(): Promise<void> { this.reconnects += 1; }
}

export class StubModel {
  comm_live = true;
  readonly kernel = new StubConnection();
  readonly widget_manager = { kernel: this.kernel };
  readonly sent: Message[] = [];
  private readonly listeners = new Map<string, Set<Callback>>();

  constructor(
    private readonly traits: Record<string, unknown>,
    private readonly out: (content: Message, buffers: ArrayBuffer[]) => void,
  ) {}

  get(name: string): unknown { return this.traits[name]; }
  set(name: string, value: unknown): void {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }
  save_changes(): void {}
  on(name: string, callback: Callback): void {
    const known = this.listeners.get(name) ?? new Set<Callback>();
    this.listeners.set(name, known.add(callback));
  }
  off(name?: string | null, callback?: Callback | null): void {
    if (!name) this.listeners.clear();
    else if (!callback) this.listeners.delete(name);
    else this.listeners.get(name)?.delete(callback);
  }
  send(content: Message, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    this.sent.push(content);
    this.out(structuredClone(content), buffers);
  }
  deliver(content: Message, buffers: DataView[] = []): void { this.emit("msg:custom", content, buffers); }
  emit(name: string, ...args: unknown[]): void {
    for (const callback of [...(this.listeners.get(name) ?? [])]) (callback as (...a: unknown[]) => void)(...args);
  }
  /** The kernel ended or was started again. */
  die(): void {
    this.comm_live = false;
    this.emit("comm_live_update");
  }
}
