/** How the three parts share the width: docked panels, drawers, sizes that a person chose. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

import type { Panels } from "../protocol";

export type Side = "config" | "topics";
export interface Limits { least: number; most: number; usual: number }

export const RAIL = 44; // a panel folded to its icon
export const TOPICS_DOCK = 900; // from this width of the widget on
export const CONFIG_DOCK = 600;
const MIDDLE = 0.6; // the feed's share where all three are side by side
const EDGES = 2; // px of the frame around them
export const LIMITS: Record<Side, Limits> = {
  config: { least: 200, most: 420, usual: 260 },
  topics: { least: 140, most: 360, usual: 200 },
};

export interface Layout {
  /** Beside the feed? Otherwise it is a drawer over it. */
  docked: Record<Side, boolean>;
  /** Docked and unfolded. */
  open: Record<Side, boolean>;
  width: Record<Side, number>;
  /** The largest width that leaves the feed its share. */
  most: Record<Side, number>;
}

/** `has`: parts that this widget shows at all. */
export function layoutFor(total: number, panels: Panels, has: Record<Side, boolean>): Layout {
  const docked = { config: has.config && total >= CONFIG_DOCK, topics: has.topics && total >= TOPICS_DOCK };
  const open = {
    config: docked.config && (panels.config_open ?? true),
    topics: docked.topics && (panels.topics_open ?? true),
  };
  // Between the two thresholds the settings alone may take a little more of the little there is.
  const share = Math.floor(total * (docked.topics || !has.topics ? 1 - MIDDLE : 0.38)) - EDGES;
  const wanted = (side: Side): number =>
    clamp(panels[`${side}_width`] ?? LIMITS[side].usual, LIMITS[side].least, LIMITS[side].most);
  const folded = (side: Side): number => (docked[side] ? RAIL : 0);
  const topicsShare = Math.max(LIMITS.topics.least, Math.floor(total * 0.17));
  const topics = open.topics
    ? Math.min(wanted("topics"), Math.max(topicsShare, share - (open.config ? wanted("config") : folded("config"))))
    : folded("topics");
  const config = open.config ? Math.min(wanted("config"), Math.max(LIMITS.config.least, share - topics)) : folded("config");
  return {
    docked,
    open,
    width: { config, topics },
    most: {
      config: clamp(share - topics, LIMITS.config.least, LIMITS.config.most),
      topics: clamp(share - config, LIMITS.topics.least, LIMITS.topics.most),
    },
  };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

/** The width of an element, followed. */
export function widthOf(element: Element): { width: ReadonlySignal<number>; stop: () => void } {
  const width: Signal<number> = signal(Math.round(element.getBoundingClientRect().width));
  const observer = new ResizeObserver(() => {
    width.value = Math.round(element.getBoundingClientRect().width);
  });
  observer.observe(element);
  return { width, stop: () => observer.disconnect() };
}
