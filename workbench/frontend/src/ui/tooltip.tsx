/** Tooltips: one bubble per root, in the top layer, for every element that carries `tip(…)`.
 *
 *  They show what a name and its shortcut are; what only a tooltip would say must not be needed.
 */

import { useEffect, useRef } from "preact/hooks";

import { placed } from "./place";

const AFTER_MS = 450;
/** Having read one, the next shows at once. */
const WARM_MS = 600;

/** Attributes for an element with a tooltip. */
export function tip(text: string, shortcut?: string): Record<string, string> {
  return shortcut ? { "data-tip": text, "data-tip-key": shortcut } : { "data-tip": text };
}

export function Tips() {
  const bubble = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = bubble.current;
    const root = element?.closest<HTMLElement>(".wbx");
    return element && root ? follow(root, element) : undefined;
  }, []);
  return <div ref={bubble} class="wbx-tip" popover="manual" role="tooltip" aria-hidden="true" />;
}

function follow(root: HTMLElement, bubble: HTMLElement): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let target: Element | null = null;
  let hiddenAt = 0;

  const show = (): void => {
    if (target === null || !target.isConnected) return;
    const [text, shortcut] = [target.getAttribute("data-tip"), target.getAttribute("data-tip-key")];
    if (!text || target.getAttribute("aria-expanded") === "true") return;
    bubble.textContent = text;
    if (shortcut) {
      const key = document.createElement("kbd");
      key.textContent = shortcut;
      bubble.append(key);
    }
    bubble.showPopover?.();
    placed(bubble, target.getBoundingClientRect(), { side: "below", align: "center", gap: 6 });
  };
  const hide = (): void => {
    clearTimeout(timer);
    target = null;
    if (!bubble.matches(":popover-open")) return;
    hiddenAt = Date.now();
    bubble.hidePopover();
  };
  const aim = (next: Element | null, wait: number): void => {
    if (next === target) return;
    hide();
    target = next;
    if (next !== null) timer = setTimeout(show, Date.now() - hiddenAt < WARM_MS ? 0 : wait);
  };
  const over = (event: PointerEvent): void => {
    if (event.pointerType === "touch") return;
    aim((event.target as Element).closest?.("[data-tip]") ?? null, AFTER_MS);
  };
  const focus = (event: FocusEvent): void => {
    const element = event.target as Element;
    if (element.matches("[data-tip]:focus-visible")) aim(element, AFTER_MS);
  };
  const key = (event: KeyboardEvent): void => {
    if (event.key === "Escape") hide();
  };
  root.addEventListener("pointerover", over);
  root.addEventListener("pointerleave", hide);
  root.addEventListener("pointerdown", hide);
  root.addEventListener("focusin", focus);
  root.addEventListener("focusout", hide);
  root.addEventListener("keydown", key, true);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  return () => {
    hide();
    root.removeEventListener("pointerover", over);
    root.removeEventListener("pointerleave", hide);
    root.removeEventListener("pointerdown", hide);
    root.removeEventListener("focusin", focus);
    root.removeEventListener("focusout", hide);
    root.removeEventListener("keydown", key, true);
    document.removeEventListener("scroll", hide, { capture: true });
  };
}
