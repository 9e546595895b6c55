/** What is said of a topic without finished images: how many are on their way, and how many wait for
 *  somebody to settle them, as far as this page knows (of the topics that were open last). */

import { isOpen } from "./rows";
import type { Store } from "./store";
import { t } from "./texts";

export function makingIn(store: Store, topicId: string): string {
  let making = 0;
  let unknown = 0;
  for (const id of store.feed.activeIn(topicId).flatMap((batch) => store.latest(batch).value)) {
    const row = store.generation(id).value;
    if (row === undefined || !isOpen(row)) continue;
    if (row.detail_key === "outcome_unknown") unknown += 1;
    else making += 1;
  }
  if (making > 0) return t("header.making", { count: making });
  return unknown > 0 ? t("header.unknown", { count: unknown }) : "";
}
