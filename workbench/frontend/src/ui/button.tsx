/** Buttons: with words, or an icon alone with its words in a tooltip. */

import type { ComponentChildren, Ref, TargetedMouseEvent } from "preact";

import { Icon, type IconName } from "./icons";
import { tip } from "./tooltip";

interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  /** plain = with a border; quiet = without; primary = the one thing to do here. */
  look?: "plain" | "quiet" | "primary" | "danger";
  testid?: string | undefined;
  class?: string;
  disabled?: boolean;
  /** Cannot be pressed just now, but keeps the focus: else the next key were the notebook's. */
  waits?: boolean;
  /** Has the focus when its dialog opens. */
  autofocus?: boolean;
  onClick(event: TargetedMouseEvent<HTMLButtonElement>): void;
}

export function Button({ children, icon, look = "plain", testid, class: extra, disabled, waits, autofocus, onClick }: ButtonProps) {
  return (
    <button
      type="button"
      class={extra ? `wbx-button ${extra}` : "wbx-button"}
      data-look={look}
      data-testid={testid}
      disabled={disabled ?? false}
      aria-disabled={waits ? "true" : undefined}
      data-autofocus={autofocus ? "" : undefined}
      onClick={(event) => {
        if (!waits) onClick(event);
      }}
    >
      {icon ? <Icon name={icon} /> : null}
      {children}
    </button>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  /** As it is said to people: "Ctrl ⏎". */
  shortcut?: string | undefined;
  testid?: string | undefined;
  class?: string;
  pressed?: boolean | undefined;
  expanded?: boolean | undefined;
  disabled?: boolean;
  tabIndex?: number;
  buttonRef?: Ref<HTMLButtonElement>;
  onClick(event: TargetedMouseEvent<HTMLButtonElement>): void;
}

export function IconButton(props: IconButtonProps) {
  const { icon, label, shortcut, testid, class: extra, pressed, expanded, disabled, tabIndex } = props;
  return (
    <button
      type="button"
      ref={props.buttonRef ?? null}
      class={extra ? `wbx-icon-button ${extra}` : "wbx-icon-button"}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      data-testid={testid}
      disabled={disabled ?? false}
      tabIndex={tabIndex}
      onClick={props.onClick}
      {...tip(label, shortcut)}
    >
      <Icon name={icon} />
    </button>
  );
}
