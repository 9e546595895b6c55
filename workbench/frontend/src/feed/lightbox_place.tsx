/** Where the lightbox opens: mount it once per root; it shows itself while `store.lightbox` names a
 *  generation. */

import type { Store } from "../store";
import { t } from "../texts";
import { late } from "../ui/late";
import { LiveRegion } from "../ui/live";
import { Toasts } from "../ui/toast";
import { WaitingDialog } from "../widgets/waiting_dialog";
import { useOneView } from "./one_view";

interface LightboxProps {
  store: Store;
  /** Is there a configuration that settings can be reused in? */
  canReuse?: boolean;
}

export function LightboxDialog({ store, canReuse = true }: LightboxProps) {
  const id = store.lightbox.value;
  const { place, mine } = useOneView(store, id !== null);
  return (
    <>
      <span ref={place} hidden />
      {id !== null && mine ? <OpenLightbox store={store} first={id} canReuse={canReuse} /> : null}
    </>
  );
}

export interface OpenProps { store: Store; first: string; canReuse: boolean }

const OpenLightbox = late<"lightbox", OpenProps>("lightbox", (part) => part.OpenLightbox, Waiting);

function Waiting({ store }: OpenProps) {
  return (
    <WaitingDialog store={store} title={t("lightbox.label")} onClose={() => (store.lightbox.value = null)}>
      {/* What lies outside a modal dialog is neither clicked nor read. */}
      <Toasts store={store} />
      <LiveRegion store={store} />
    </WaitingDialog>
  );
}
