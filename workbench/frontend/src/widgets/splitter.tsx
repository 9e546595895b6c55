/** The line between two parts: dragged, or moved with the arrow keys. */

import { useRef } from "preact/hooks";

import { clamp } from "./panels";

const STEP = 16;

interface SplitterProps {
  label: string;
  /** Which side of the line the panel is on. */
  side: "start" | "end";
  value: number;
  least: number;
  most: number;
  usual: number;
  onMove(width: number): void;
  onCollapse(): void;
}

export function Splitter({ label, side, value, least, most, usual, onMove, onCollapse }: SplitterProps) {
  const from = useRef<{ x: number; value: number } | null>(null);
  const move = (width: number): void => onMove(Math.round(clamp(width, least, most)));
  const towards = (element: Element): number => {
    const rtl = getComputedStyle(element).direction === "rtl";
    return (side === "start") === rtl ? -1 : 1;
  };
  return (
    <div
      class="wbx-splitter"
      data-side={side}
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={least}
      aria-valuemax={most}
      tabIndex={0}
      onDblClick={() => move(usual)}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, value };
      }}
      onPointerMove={(event) => {
        if (from.current === null) return;
        move(from.current.value + (event.clientX - from.current.x) * towards(event.currentTarget));
      }}
      onPointerUp={() => (from.current = null)}
      onPointerCancel={() => (from.current = null)}
      onKeyDown={(event) => {
        const way = towards(event.currentTarget);
        if (event.key === "ArrowLeft") move(value - STEP * way);
        else if (event.key === "ArrowRight") move(value + STEP * way);
        else if (event.key === "Home") move(least);
        else if (event.key === "End") move(most);
        else if (event.key === "Enter") onCollapse();
        else return;
        event.preventDefault();
      }}
    />
  );
}
