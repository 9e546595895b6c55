/** Cancelling all that runs or waits, of a topic or of everything: the entry of a menu, what is asked
 *  before, and what is told after. */

import { signal } from "@preact/signals";

import { isAborted, reasonOf } from "../errors";
import type { Active, Cancelled, TopicRow } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts_topics";
import { attempt } from "../ui/attempt";
import type { MenuItem } from "../ui/menu";

/** What is to be cancelled: of a topic, or (null) all that the user has running anywhere. */
export interface Cancelling { topic: TopicRow | null; count: number }

/** The entry. How much there is the kernel knows, also of topics that this page never opened: it is
 *  asked when the menu opens, and nothing can be chosen before it has answered. */
export function cancelItem(store: Store, topic: TopicRow | null, ask: (what: Cancelling) => void): MenuItem {
  const name = topic === null ? "cancel.everything" : "cancel.topic";
  const live = signal<Partial<MenuItem>>({});
  store.call<Active>("active", topic === null ? {} : { topic_id: topic.id }).then(
    ({ active: count }) => {
      live.value = { label: t(name, { count }), disabled: count === 0, act: () => ask({ topic, count }) };
    },
    (error: unknown) => {
      if (!isAborted(error)) live.value = { hint: reasonOf(error) };
    },
  );
  return {
    label: t(name, { count: "…" }),
    icon: "x",
    disabled: true,
    testid: topic === null ? "cancel-everything" : "cancel-topic",
    live,
  };
}

/** The words of the question. */
export function cancelQuestion({ topic, count }: Cancelling): { title: string; text: string; action: string; leave: string } {
  return {
    title: topic === null ? t("cancel.everything_title") : t("cancel.topic_title", { title: topic.title || t("topics.untitled") }),
    text: `${t("cancel.text", { count })} ${t("cancel.charged")}`,
    action: t("cancel.act", { count }),
    leave: t("cancel.leave", { count }),
  };
}

/** Does it. What ended while the question was read stays as it is: the message counts what was hit. */
export function cancelAll(store: Store, topic: TopicRow | null): Promise<boolean> {
  return attempt(store, async () => {
    const { cancelled } = await store.call<Cancelled>("cancel", topic === null ? { everything: true } : { topic_id: topic.id });
    const count = cancelled.length;
    store.toast(count === 0 ? t("cancel.none") : t("cancel.done", { count }));
  });
}
