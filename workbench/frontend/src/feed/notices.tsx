/** The messages of the widget inside the lightbox: what lies outside a modal dialog cannot be
 *  clicked, so its toasts (and their Undo) are shown here while it is open. */

import { useEffect } from "preact/hooks";

import type { Store, Toast } from "../store";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";

const SHOWN_MS = 8000;

export function Notices({ store }: { store: Store }) {
  return (
    <div class="wbx-notices" role="status" aria-live="polite">
      {store.toasts.value.map((toast) => (
        <Notice key={toast.id} store={store} toast={toast} />
      ))}
    </div>
  );
}

function Notice({ store, toast }: { store: Store; toast: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => store.dismiss(toast.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast.id]);
  const { undo } = toast;
  return (
    <div class="wbx-notice" data-level={toast.level}>
      <span dir="auto">{toast.text}</span>
      {undo ? (
        <button
          type="button"
          class="wbx-small"
          data-testid="undo"
          onClick={() => {
            store.dismiss(toast.id);
            void undo();
          }}
        >
          {feedText("box.undo")}
        </button>
      ) : null}
      <button type="button" class="wbx-tool" aria-label={feedText("box.dismiss")} onClick={() => store.dismiss(toast.id)}>
        <Icon name="x" />
      </button>
    </div>
  );
}
