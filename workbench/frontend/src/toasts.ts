/** Short messages at the edge of the widget, some with a button that takes the action back. */

import { type ReadonlySignal, signal } from "@preact/signals";

export type Level = "info" | "success" | "warning" | "error";
export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly level: Level;
  /** Takes back what was done. */
  readonly undo?: () => Promise<void>;
}

const MOST = 4;

export class Toasts {
  private readonly list = signal<readonly Toast[]>([]);
  private count = 0;

  get value(): ReadonlySignal<readonly Toast[]> {
    return this.list;
  }

  add(text: string, level: Level, undo?: () => Promise<void>): void {
    this.count += 1;
    const toast: Toast = { id: this.count, text, level, ...(undo ? { undo } : {}) };
    const others = this.list.peek().filter((other) => other.text !== text || other.undo);
    this.list.value = [...others, toast].slice(-MOST);
  }

  dismiss(id: number): void {
    this.list.value = this.list.peek().filter((toast) => toast.id !== id);
  }
}
