/** Dialogs over the whole page: the browser keeps the focus inside and gives it back. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { t } from "../texts";
import { Button, IconButton } from "./button";
import { useUnique } from "./unique";

interface DialogProps {
  title: string;
  children: ComponentChildren;
  /** Buttons below; without them the dialog has only its close button. */
  actions?: ComponentChildren;
  testid?: string;
  onClose(): void;
}

export function Dialog({ title, children, actions, testid, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useUnique();
  useLayoutEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement;
    if (!element.open) element.showModal();
    element.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => {
      element.close();
      // Removed from the page while open, it cannot give the focus back by itself.
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="wbx-dialog"
      aria-labelledby={heading}
      aria-modal="true"
      data-testid={testid}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div class="wbx-dialog-body">
        <header class="wbx-dialog-head">
          <h2 id={heading} dir="auto">{title}</h2>
          <IconButton icon="x" label={t("close")} shortcut={t("key.escape")} onClick={onClose} />
        </header>
        <div class="wbx-dialog-content">{children}</div>
        {actions ? <footer class="wbx-dialog-actions">{actions}</footer> : null}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  /** What the button says: the verb. */
  action: string;
  /** What the other one says, where "Cancel" would say the opposite. */
  leave?: string | undefined;
  onConfirm(): void;
  onClose(): void;
}

export function Confirm({ title, text, action, leave = t("cancel"), onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog
      title={title}
      testid="confirm"
      onClose={onClose}
      actions={
        <>
          <Button autofocus onClick={onClose}>{leave}</Button>
          <Button
            look="danger"
            testid="confirm-action"
            onClick={() => {
              onClose();
              onConfirm();
            }}
          >
            {action}
          </Button>
        </>
      }
    >
      <p>{text}</p>
    </Dialog>
  );
}
