/** Asking for tags from a card: they are changed in the lightbox, whose field then takes the focus. */

import type { GenerationRow } from "../protocol";
import type { Store } from "../store";

/** Stores whose lightbox is about to open for that. */
export const wantsTags = new WeakSet<Store>();

export function editTags(store: Store, row: GenerationRow): void {
  wantsTags.add(store);
  store.openLightbox(row.id);
}
