/** What the host hands to a widget (anywidget's `model`), as far as it is used here. */

import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

import { inVoila } from "./visitor";

export interface Kernel {
  readonly status?: string;
  readonly connectionStatus?: string;
  readonly connectionStatusChanged?: Signal<string>;
  readonly statusChanged?: Signal<string>;
  /** The host has found that it is gone, as after a restart of the server. */
  readonly disposed?: Signal<void>;
  reconnect?(): Promise<void>;
}
/** A signal of Lumino. */
interface Signal<T> {
  connect(callback: (sender: unknown, value: T) => void): unknown;
  disconnect(callback: (sender: unknown, value: T) => void): unknown;
}

export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  /** Not every host has it, and it is not always JupyterLab's. */
  readonly widget_manager?: unknown;
}

/** The kernel of the host's widget manager; undefined where there is none to be seen. */
export function kernelOf(model: Model): Kernel | undefined {
  const manager = model.widget_manager as { kernel?: unknown } | null | undefined;
  const kernel = manager?.kernel;
  return typeof kernel === "object" && kernel !== null ? (kernel as Kernel) : undefined;
}

/** The synced traits: how the widget looks. Python sets them, the page never does. */
export interface Traits {
  /** Class name of the widget. */
  readonly widget: string;
  /** In px; 0 = as high as its content. */
  readonly height: ReadonlySignal<number>;
  readonly hideBelow: ReadonlySignal<number | null>;
  readonly simple: ReadonlySignal<boolean>;
  /** Names of the controls to show; null = all. */
  readonly controls: ReadonlySignal<readonly string[] | null>;
  readonly accent: ReadonlySignal<string>;
}

/** Whether there is any control to show: a page may be without. */
export function hasControls({ controls }: Traits): boolean {
  return controls.value === null || controls.value.length > 0;
}

/** What its author lets people use. */
export type Offer = Pick<Traits, "simple" | "controls">;
export const EVERYTHING: Offer = { simple: signal(false), controls: signal(null) };

/** Whether the whole window is the widget's: a page of Voilà that gave it no height. */
export function fillsPage({ widget, height }: Traits): boolean {
  return widget === "Workbench" && height.value === 0 && inVoila();
}

/** What every widget component is given. */
export interface WidgetProps<S> { store: S; traits: Traits }

export function traitsOf(model: Model): { traits: Traits; dispose: () => void } {
  const stops: (() => void)[] = [];
  function trait<T>(name: string, read: (value: unknown) => T): ReadonlySignal<T> {
    const value = signal(read(model.get(name)));
    const follow = (): void => {
      value.value = read(model.get(name));
    };
    model.on(`change:${name}`, follow);
    stops.push(() => model.off(`change:${name}`, follow));
    return value;
  }
  const whole = (value: unknown): number | null => (typeof value === "number" ? value : null);
  const traits: Traits = {
    widget: String(model.get("_widget")),
    height: trait("height", (value) => whole(value) ?? 0),
    hideBelow: trait("hide_below", whole),
    simple: trait("simple", Boolean),
    controls: trait("controls", (value) => (Array.isArray(value) ? value.map(String) : null)),
    accent: trait("accent", (value) => (typeof value === "string" ? value : "")),
  };
  return { traits, dispose: () => stops.forEach((stop) => stop()) };
}
