/** The icons, of one set (lucide, ISC licence); the bundler keeps only those named here. */

import {
  Archive, ArrowUp, Ban, Check, ChevronDown, ChevronLeft, ChevronRight, CircleAlert,
  CircleQuestionMark, Clock, CodeXml, Copy, Dices, Download, Ellipsis, Folder, FolderInput, FolderPlus, HardDrive,
  Heart, Image, ImageUp, Keyboard, Layers, Link2, List, LoaderCircle, Lock, Maximize, Minus, PanelLeftClose,
  PanelRightClose, Pause, Pencil, Play, Plus, RefreshCw, RotateCcw, SkipForward, SlidersHorizontal,
  Star, Trash, TriangleAlert, Undo2, Unlink2, Unplug, X,
} from "lucide";
import { h } from "preact";

type Shape = [tag: string, attributes: Record<string, unknown>];

const ICONS = {
  alert: CircleAlert, archive: Archive, "arrow-up": ArrowUp, ban: Ban, check: Check,
  "chevron-down": ChevronDown, "chevron-left": ChevronLeft, "chevron-right": ChevronRight,
  clock: Clock, code: CodeXml, copy: Copy, cover: ImageUp, collapse_left: PanelLeftClose, collapse_right: PanelRightClose, dice: Dices,
  disk: HardDrive, download: Download, fit: Maximize, folder: Folder, folder_move: FolderInput,
  folder_new: FolderPlus, heart: Heart, help: CircleQuestionMark, image: Image, keyboard: Keyboard,
  layers: Layers, link: Link2, list: List, loader: LoaderCircle, lock: Lock, minus: Minus,
  more: Ellipsis, next: SkipForward, pause: Pause, pencil: Pencil, play: Play, plus: Plus,
  refresh: RefreshCw, reuse: RotateCcw, sliders: SlidersHorizontal, star: Star, trash: Trash,
  undo: Undo2, unlink: Unlink2, unplug: Unplug, warning: TriangleAlert, x: X,
} as const;

export type IconName = keyof typeof ICONS;

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
      {(ICONS[name] as unknown as Shape[]).map(([tag, attributes], at) => h(tag, { ...attributes, key: at }))}
    </svg>
  );
}
