/** Where something in the top layer goes: beside its anchor, inside the window. */

export interface Placing {
  side: "below" | "above";
  align: "start" | "center" | "end";
  gap?: number;
}

const EDGE = 8; // distance to the window's edges

/** Puts `element` (position: fixed) beside `anchor`; on the other side where it does not fit. */
export function placed(element: HTMLElement, anchor: DOMRect, { side, align, gap = 4 }: Placing): void {
  const { innerWidth, innerHeight } = window;
  element.style.maxHeight = "";
  const { width, height } = element.getBoundingClientRect();
  const below = innerHeight - anchor.bottom - gap - EDGE;
  const above = anchor.top - gap - EDGE;
  const goesBelow = side === "below" ? height <= below || below >= above : !(height <= above || above >= below);
  const room = Math.max(96, goesBelow ? below : above);
  const tall = Math.min(height, room);
  if (height > room) element.style.maxHeight = `${room}px`;
  const top = goesBelow ? anchor.bottom + gap : anchor.top - gap - tall;
  const rtl = getComputedStyle(element).direction === "rtl";
  const start = rtl ? anchor.right - width : anchor.left;
  const end = rtl ? anchor.left : anchor.right - width;
  const left = align === "start" ? start : align === "end" ? end : anchor.left + (anchor.width - width) / 2;
  element.style.top = `${Math.max(EDGE, Math.min(top, innerHeight - tall - EDGE))}px`;
  element.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
}
