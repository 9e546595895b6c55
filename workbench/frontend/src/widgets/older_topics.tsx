/** The end of a long list of topics: how many there are, and the next ones. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { isAborted } from "../errors";
import type { TopicsAnswer } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts_topics";
import { attempt } from "../ui/attempt";
import { Button } from "../ui/button";

const GATHER_MS = 500;

export function OlderTopics({ store }: { store: Store }) {
  const beyond = store.olderTopics.value;
  const listed = store.topics.value.length;
  const busy = useSignal(false);
  const place = useRef<HTMLDivElement>(null);
  /** The numbers that belong together, as the kernel told them last. */
  const told = useRef({ beyond, listed });

  // Topics came or went: how many there are in all is asked, not guessed.
  useEffect(() => {
    const { current } = told;
    const isTold = current.beyond === null || (current.beyond === beyond && current.listed === listed);
    if (beyond === null || isTold) {
      told.current = { beyond, listed };
      return undefined;
    }
    const stop = new AbortController();
    const { cursor } = beyond;
    const timer = setTimeout(() => {
      store.call<TopicsAnswer>("topics", { cursor, limit: 1 }, { signal: stop.signal }).then(
        ({ topics, total }) => {
          const now = topics.length > 0 ? { cursor, total } : null;
          told.current = { beyond: now, listed };
          store.takeTopics([], now);
        },
        (error: unknown) => {
          if (!isAborted(error)) console.warn("image-workbench: topics not counted again", error);
        },
      );
    }, GATHER_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [beyond, listed]);

  if (beyond === null) return null;
  const more = async (): Promise<void> => {
    if (busy.peek()) return;
    busy.value = true;
    await attempt(store, async () => {
      const { topics, older_topics } = await store.call<TopicsAnswer>("topics", { cursor: beyond.cursor });
      const known = new Set(store.topics.peek().map((topic) => topic.id));
      told.current = { beyond: older_topics, listed: known.size + topics.filter((topic) => !known.has(topic.id)).length };
      // With the last ones the button goes: the list goes on where it was.
      if (older_topics === null) focusLast(place.current);
      store.takeTopics(topics, older_topics);
    });
    busy.value = false;
  };
  return (
    <div class="wbx-topics-older" ref={place} data-testid="older-topics">
      <p>{t("topics.some", { shown: listed, total: beyond.total })}</p>
      <Button look="quiet" waits={busy.value} testid="show-older-topics" onClick={() => void more()}>{t("topics.older")}</Button>
    </div>
  );
}

function focusLast(place: HTMLElement | null): void {
  if (!place?.contains(document.activeElement)) return;
  const rows = place.closest(".wbx-topics-scroll")?.querySelectorAll<HTMLElement>(".wbx-topic-open");
  rows?.[rows.length - 1]?.focus({ preventScroll: true });
}
