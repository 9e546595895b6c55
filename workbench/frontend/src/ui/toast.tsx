/** Short messages at the lower edge: what was done, with its undo; what went wrong. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { Store, Toast } from "../store";
import { t } from "../texts";
import { IconButton } from "./button";
import { Icon } from "./icons";
import { liveOf } from "./live";

const SHOWN_MS: Record<Toast["level"], number> = { info: 6000, success: 5000, warning: 8000, error: 20_000 };
const UNDO_MS = 10_000;
const EDGE = 16;

/** In the top layer, over the part of the widget that is in the window. */
export function Toasts({ store }: { store: Store }) {
  const region = useRef<HTMLDivElement>(null);
  const toasts = store.toasts.value;
  const any = toasts.length > 0;
  useLayoutEffect(() => {
    const element = region.current!;
    if (!any) return undefined;
    // Shown again, it is above whatever came into the top layer meanwhile.
    element.showPopover?.();
    const place = (): void => put(element);
    place();
    const home = homeOf(element);
    // A dialog that opens in a moment: then it is the uppermost, and these messages are below it.
    let unopened = home?.getBoundingClientRect().width === 0;
    const sizes = new ResizeObserver(() => {
      if (unopened) {
        unopened = false;
        element.hidePopover?.();
        element.showPopover?.();
      }
      place();
    });
    if (home) sizes.observe(home);
    window.addEventListener("resize", place);
    document.addEventListener("scroll", place, { capture: true, passive: true });
    return () => {
      sizes.disconnect();
      window.removeEventListener("resize", place);
      document.removeEventListener("scroll", place, { capture: true });
      if (element.matches(":popover-open")) element.hidePopover();
    };
  }, [any]);
  return (
    <div ref={region} class="wbx-toasts" popover="manual" role="region" aria-label={t("toasts")}>
      {toasts.map((toast) => <Message key={toast.id} store={store} toast={toast} />)}
    </div>
  );
}

const homeOf = (element: HTMLElement): Element | null => (element.parentElement ?? element).closest("dialog, .wbx");

function put(element: HTMLElement): void {
  const home = homeOf(element);
  if (!home) return;
  const { left, width, bottom } = home.getBoundingClientRect();
  element.style.left = `${Math.max(EDGE, Math.min(window.innerWidth - EDGE, left + width / 2))}px`;
  element.style.bottom = `${Math.max(EDGE, window.innerHeight - bottom + EDGE)}px`;
  element.style.maxWidth = `${Math.max(240, Math.min(width, window.innerWidth) - 2 * EDGE)}px`;
}

function Message({ store, toast }: { store: Store; toast: Toast }) {
  const { id, text, level, undo } = toast;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const dismiss = (): void => store.dismiss(id);
  const start = (): void => {
    clearTimeout(timer.current);
    timer.current = setTimeout(dismiss, undo ? UNDO_MS : SHOWN_MS[level]);
  };
  useEffect(() => {
    if (level !== "error") liveOf(store).say(text);
    start();
    return () => clearTimeout(timer.current);
  }, []);
  // Nobody reads against a clock: it stays while it is pointed at or has the focus.
  const hold = (): void => clearTimeout(timer.current);
  return (
    <div
      class="wbx-toast"
      data-level={level}
      data-testid={level === "error" ? "toast-error" : "toast"}
      role={level === "error" ? "alert" : undefined}
      onPointerEnter={hold}
      onPointerLeave={start}
      onFocusIn={hold}
      onFocusOut={start}
    >
      {level === "error" || level === "warning" ? <Icon name={level === "error" ? "alert" : "warning"} /> : null}
      <span dir="auto">{text}</span>
      {undo ? (
        <button
          type="button"
          class="wbx-toast-undo"
          data-testid="undo"
          onClick={() => {
            dismiss();
            void undo();
          }}
        >
          {t("undo")}
        </button>
      ) : null}
      <IconButton icon="x" label={t("dismiss")} onClick={dismiss} />
    </div>
  );
}
