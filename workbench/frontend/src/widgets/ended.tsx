/** In Voilà, over everything: the kernel has gone, and there is no cell to run again. */

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { Store } from "../store";
import { t } from "../texts";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import { useUnique } from "../ui/unique";
import { inVoila, reloadPage } from "../visitor";

const SURE_MS = 800; // a kernel that is there after all has sent a ping by then

export function Ended({ store }: { store: Store }) {
  const gone = store.link.value === "dead" && inVoila();
  const shown = useSignal(false);
  useEffect(() => {
    if (!gone) return undefined;
    const timer = setTimeout(() => (shown.value = true), SURE_MS);
    return () => {
      clearTimeout(timer);
      shown.value = false;
    };
  }, [gone]);
  return gone && shown.value ? <EndedDialog /> : null;
}

function EndedDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useUnique();
  useLayoutEffect(() => {
    const element = dialog.current!;
    // Several widgets may be on the page; it is said once.
    if (document.querySelector("dialog.wbx-ended[open]")) return undefined;
    element.showModal();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="wbx-dialog wbx-ended"
      role="alertdialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      data-testid="ended"
    >
      <Icon name="unplug" size={28} />
      <h2 id={`${id}-title`}>{t("ended.title")}</h2>
      <p id={`${id}-text`}>{t("ended.text")}</p>
      <Button icon="refresh" look="primary" testid="reload" onClick={reloadPage}>{t("reload")}</Button>
    </dialog>
  );
}
