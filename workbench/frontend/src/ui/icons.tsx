/** The icons, of one set (lucide, ISC licence). Each from its own file: from the package's index all
 *  that any part uses would be in the root. */

import check from "lucide/dist/esm/icons/check.mjs";
import down from "lucide/dist/esm/icons/chevron-down.mjs";
import left from "lucide/dist/esm/icons/chevron-left.mjs";
import right from "lucide/dist/esm/icons/chevron-right.mjs";
import alert from "lucide/dist/esm/icons/circle-alert.mjs";
import help from "lucide/dist/esm/icons/circle-question-mark.mjs";
import dice from "lucide/dist/esm/icons/dice-5.mjs";
import download from "lucide/dist/esm/icons/download.mjs";
import more from "lucide/dist/esm/icons/ellipsis.mjs";
import disk from "lucide/dist/esm/icons/hard-drive.mjs";
import image from "lucide/dist/esm/icons/image.mjs";
import keyboard from "lucide/dist/esm/icons/keyboard.mjs";
import layers from "lucide/dist/esm/icons/layers.mjs";
import list from "lucide/dist/esm/icons/list.mjs";
import loader from "lucide/dist/esm/icons/loader-circle.mjs";
import minus from "lucide/dist/esm/icons/minus.mjs";
import collapse_left from "lucide/dist/esm/icons/panel-left-close.mjs";
import collapse_right from "lucide/dist/esm/icons/panel-right-close.mjs";
import pause from "lucide/dist/esm/icons/pause.mjs";
import play from "lucide/dist/esm/icons/play.mjs";
import plus from "lucide/dist/esm/icons/plus.mjs";
import refresh from "lucide/dist/esm/icons/refresh-cw.mjs";
import sliders from "lucide/dist/esm/icons/sliders-horizontal.mjs";
import trash from "lucide/dist/esm/icons/trash.mjs";
import warning from "lucide/dist/esm/icons/triangle-alert.mjs";
import undo from "lucide/dist/esm/icons/undo-2.mjs";
import unplug from "lucide/dist/esm/icons/unplug.mjs";
import x from "lucide/dist/esm/icons/x.mjs";
import { h } from "preact";

import type { FEED_ICONS } from "../feed/icons";
import type { SETTINGS_ICONS } from "../widgets/settings_icons";
import type { TOPIC_ICONS } from "../widgets/topic_icons";

type Shape = typeof alert;

/** At 16 px the dots of the set are specks. */
const pips = dice.map(([tag, attributes]) => [tag, tag === "path" ? { ...attributes, "stroke-width": 3 } : attributes]) as Shape;

const ICONS = {
  alert, check, "chevron-down": down, "chevron-left": left, "chevron-right": right, collapse_left,
  collapse_right, dice: pips, disk, download, help, image, keyboard, layers, list, loader, minus, more, pause, play, plus,
  refresh, sliders, trash, undo, unplug, warning, x,
} as const;

export type IconName =
  | keyof typeof ICONS
  | keyof typeof FEED_ICONS
  | keyof typeof SETTINGS_ICONS
  | keyof typeof TOPIC_ICONS;

const known: Record<string, Shape> = { ...ICONS };

/** Those that a part brings; only that part names them. */
export function addIcons(icons: Readonly<Record<string, Shape>>): void {
  Object.assign(known, icons);
}

interface IconProps {
  name: IconName;
  class?: string;
  /** In px; 16 unless told. */
  size?: number;
}

/** Decoration: whatever it stands for is said in words beside it or in an aria-label. */
export function Icon({ name, class: extra, size }: IconProps) {
  const side = size === undefined ? undefined : { width: `${size}px`, height: `${size}px` };
  return (
    <svg class={extra ? `wbx-icon ${extra}` : "wbx-icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false" style={side}>
      {(known[name] as Shape).map(([tag, attributes], at) => h(tag, { ...attributes, key: at }))}
    </svg>
  );
}
