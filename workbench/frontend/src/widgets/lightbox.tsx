/** The lightbox as a widget of its own: Python opens it; in the cell there is only the way back to
 *  the last picture. */

import { useSignal, useSignalEffect } from "@preact/signals";

import { LightboxDialog } from "../feed/lightbox_place";
import type { WidgetProps } from "../model";
import type { Store } from "../store";
import { t } from "../texts";
import { Icon } from "../ui/icons";

export function Lightbox({ store }: WidgetProps<Store>) {
  const last = useSignal<string | null>(null);
  useSignalEffect(() => {
    const id = store.lightbox.value;
    if (id !== null) last.value = id;
  });
  return (
    <div class="wbx-lightbox-widget">
      <Icon name="image" />
      {last.value === null ? (
        <span>{t("lightbox.waiting")}</span>
      ) : (
        <button
          type="button"
          class="wbx-small"
          data-testid="open-again"
          onClick={() => last.value !== null && store.openLightbox(last.value)}
        >
          {t("lightbox.again")}
        </button>
      )}
      <LightboxDialog store={store} canReuse={false} />
    </div>
  );
}
