/** Says in the live region what ended: at most one message in two seconds, put together. */

import { effect } from "@preact/signals";

import type { Status } from "../protocol";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { liveOf } from "../ui/live";
import { ended } from "./words";

const EVERY_MS = 2000;

/** Follows the images of the active batches; the first look says nothing. Returns how to stop. */
export function announce(store: Store): () => void {
  const seen = new Map<string, Status>();
  let finished = 0;
  let failed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;

  const say = (): void => {
    timer = undefined;
    last = Date.now();
    const parts: string[] = [];
    if (finished === 1) parts.push(feedText("feed.finished_one"));
    if (finished > 1) parts.push(feedText("feed.finished", { count: finished }));
    if (failed === 1) parts.push(feedText("feed.failed_one"));
    if (failed > 1) parts.push(feedText("feed.failed", { count: failed }));
    finished = failed = 0;
    liveOf(store).say(parts.join(", "));
  };

  const stop = effect(() => {
    const now = new Set<string>();
    for (const batchId of [...store.feed.active.value, ...store.feed.history.value.slice(0, 8)]) {
      for (const id of store.latest(batchId).value) {
        const row = store.generation(id).value;
        if (row === undefined) continue;
        now.add(id);
        const before = seen.get(id);
        seen.set(id, row.status);
        if (before === undefined || !ended(row) || ended({ status: before })) continue;
        if (row.status === "completed") finished += 1;
        if (row.status === "failed") failed += 1;
      }
    }
    for (const id of seen.keys()) if (!now.has(id)) seen.delete(id);
    if (finished + failed > 0 && timer === undefined) {
      timer = setTimeout(say, Math.max(150, last + EVERY_MS - Date.now()));
    }
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}
