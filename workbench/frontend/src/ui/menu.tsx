/** Real menus: a button that opens a list of actions in the top layer, all of it by keyboard. */

import type { ComponentChildren } from "preact";
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { t } from "../texts";
import { Icon, type IconName } from "./icons";
import { placed } from "./place";
import { tip } from "./tooltip";

export interface MenuItem {
  label: string;
  icon?: IconName;
  /** Second line in small letters, e.g. what will change. */
  hint?: string;
  shortcut?: string;
  danger?: boolean;
  disabled?: boolean;
  /** One of several to choose from (menuitemradio). */
  checked?: boolean;
  testid?: string;
  /** A menu behind this item, in the same place. */
  items?: () => MenuEntry[];
  act?: () => void;
  /** What is known of it only after the menu has opened; the item keeps its place. */
  live?: ReadonlySignal<Partial<MenuItem>>;
}
export type MenuEntry = MenuItem | { heading: string } | "separator";

interface MenuButtonProps {
  /** Name of the button; also the tooltip. */
  label: string;
  /** Asked each time when it opens. */
  items: () => MenuEntry[];
  icon?: IconName;
  children?: ComponentChildren;
  class?: string;
  testid?: string;
  tabIndex?: number;
  align?: "start" | "end";
}

export function MenuButton(props: MenuButtonProps) {
  const { label, items, icon = "more", children, class: extra = "wbx-icon-button", align = "end" } = props;
  const button = useRef<HTMLButtonElement>(null);
  const open = useSignal<MenuEntry[] | null>(null);
  /** A click on the button while it is open: light dismissal has closed it a moment before. */
  const dismissedAt = useRef(-Infinity);
  const toggle = (): void => {
    if (performance.now() - dismissedAt.current < 200) return;
    open.value = open.value === null ? items() : null;
  };
  const close = (dismissed = false): void => {
    if (open.peek() === null) return;
    const active = document.activeElement;
    // A click elsewhere has taken the focus there.
    const hadFocus = active === null || active === document.body || active.closest(".wbx-drop") !== null;
    open.value = null;
    if (dismissed) dismissedAt.current = performance.now();
    if (hadFocus) button.current?.focus({ preventScroll: true });
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class={extra}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open.value !== null}
        data-testid={props.testid}
        tabIndex={props.tabIndex}
        onClick={toggle}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" || open.value !== null) return;
          event.preventDefault();
          event.stopPropagation();
          toggle();
        }}
        {...tip(label)}
      >
        {children ?? <Icon name={icon} />}
      </button>
      {open.value === null ? null : (
        <Menu label={label} entries={open.value} anchor={button.current!} align={align} onClose={close} />
      )}
    </>
  );
}

interface MenuProps {
  label: string;
  entries: MenuEntry[];
  anchor: Element;
  align: "start" | "end";
  /** `dismissed`: by the browser, on a click elsewhere, which may be on the button. */
  onClose(dismissed?: boolean): void;
}

function Menu({ label, entries, anchor, align, onClose }: MenuProps) {
  const list = useRef<HTMLDivElement>(null);
  const shown = useSignal(entries);
  useLayoutEffect(() => {
    const element = list.current!;
    if (!element.matches(":popover-open")) element.showPopover?.();
    placed(element, anchor.getBoundingClientRect(), { side: "below", align });
    itemsOf(element)[0]?.focus({ preventScroll: true });
  }, [shown.value]);
  useLayoutEffect(() => {
    const element = list.current!;
    const toggled = (event: Event): void => {
      if ((event as ToggleEvent).newState === "closed") onClose(true);
    };
    // Whoever scrolls has left it. What scrolls by itself, when pictures arrive or a cell prints
    // something, closes nothing, and moves no entry away from under the pointer.
    const scrolls = (event: Event): void => {
      if (!element.contains(event.target as Node)) onClose();
    };
    const options = { capture: true, passive: true };
    element.addEventListener("toggle", toggled);
    document.addEventListener("wheel", scrolls, options);
    document.addEventListener("touchmove", scrolls, options);
    return () => {
      element.removeEventListener("toggle", toggled);
      document.removeEventListener("wheel", scrolls, options);
      document.removeEventListener("touchmove", scrolls, options);
    };
  }, []);
  const chosen = (item: MenuItem): void => {
    if (item.disabled) return;
    if (item.items) {
      shown.value = [{ label: t("menu.back"), icon: "chevron-left", items: () => entries }, "separator", ...item.items()];
      return;
    }
    onClose();
    item.act?.();
  };
  return (
    <div
      ref={list}
      class="wbx-drop"
      popover="auto"
      role="menu"
      aria-label={label}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => {
        if (moved(event, list.current!)) event.preventDefault();
        else if (event.key === "Escape" || event.key === "Tab") {
          event.preventDefault();
          onClose();
        }
        event.stopPropagation();
      }}
    >
      {shown.value.map((entry, at) => <Entry key={at} entry={entry} onChoose={chosen} />)}
    </div>
  );
}

function Entry({ entry, onChoose }: { entry: MenuEntry; onChoose(item: MenuItem): void }) {
  if (entry === "separator") return <div role="separator" class="wbx-drop-line" />;
  if ("heading" in entry) return <div role="presentation" class="wbx-drop-heading">{entry.heading}</div>;
  const item = { ...entry, ...entry.live?.value };
  const { label, icon, hint, shortcut, danger, disabled, checked, testid, items } = item;
  return (
    <button
      type="button"
      role={checked === undefined ? "menuitem" : "menuitemradio"}
      class="wbx-drop-item"
      aria-checked={checked}
      aria-disabled={disabled ? "true" : undefined}
      aria-haspopup={items ? "menu" : undefined}
      data-danger={danger ? "" : undefined}
      data-testid={testid}
      tabIndex={-1}
      onClick={() => onChoose(item)}
      onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
    >
      <span class="wbx-drop-icon">
        {checked ? <Icon name="check" /> : icon ? <Icon name={icon} /> : null}
      </span>
      <span class="wbx-drop-words">
        <span dir="auto">{label}</span>
        {hint ? <small dir="auto">{hint}</small> : null}
      </span>
      {shortcut ? <kbd aria-hidden="true">{shortcut}</kbd> : null}
      {items && icon !== "chevron-left" ? <Icon name="chevron-right" /> : null}
    </button>
  );
}

const itemsOf = (menu: HTMLElement): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>(".wbx-drop-item")];

/** Arrow keys, Home, End, and the first letter of an item. */
function moved(event: KeyboardEvent, menu: HTMLElement): boolean {
  const items = itemsOf(menu);
  const at = items.indexOf(menu.ownerDocument.activeElement as HTMLElement);
  const go = (to: number): boolean => {
    items[(to + items.length) % items.length]?.focus();
    return true;
  };
  if (event.key === "ArrowDown") return go(at + 1);
  if (event.key === "ArrowUp") return go(at < 0 ? -1 : at - 1);
  if (event.key === "Home") return go(0);
  if (event.key === "End") return go(-1);
  if (event.key.length !== 1 || event.key === " " || event.ctrlKey || event.metaKey || event.altKey) return false;
  const letter = event.key.toLocaleLowerCase();
  const order = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  const next = order.find((item) => item.textContent.trim().toLocaleLowerCase().startsWith(letter));
  next?.focus();
  return next !== undefined;
}
