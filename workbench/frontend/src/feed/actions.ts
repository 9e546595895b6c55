/** What can be done with images and batches; the feed and the lightbox share it. */

import { download } from "../files";
import type { BatchRow, GenerationRow } from "../protocol";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { attempt } from "../ui/attempt";
import type { References } from "../widgets/references";
import { copyText } from "./clipboard";
import { changesText, type Reuse, reuseSeed, reuseSettings } from "./reuse";
import { hasMore } from "./words";

/** What was just asked for has no id in the kernel yet: whoever does something with it waits. */
function acting(store: Store, id: string, act: (id: string) => Promise<unknown>): Promise<boolean> {
  return attempt(store, async () => act(await store.submissions.stored(id)));
}

export function judge(
  store: Store,
  row: GenerationRow,
  values: { rating?: number; favourite?: boolean },
): Promise<boolean> {
  return acting(store, row.id, (id) => store.call("judge", { generation_id: id, ...values }));
}

export function toggleFavourite(store: Store, row: GenerationRow): Promise<boolean> {
  return judge(store, row, { favourite: !row.favourite });
}

/** The same number again takes the rating away. */
export function rate(store: Store, row: GenerationRow, rating: number): Promise<boolean> {
  return judge(store, row, { rating: rating === row.rating ? 0 : rating });
}

export function retry(store: Store, row: GenerationRow): Promise<boolean> {
  return attempt(store, () => store.call("retry", { generation_id: row.id }));
}

export async function retryFailed(store: Store, batchId: string): Promise<void> {
  await attempt(store, () => store.call("retry_failed", { batch_id: batchId }));
}

export function cancel(store: Store, row: GenerationRow): Promise<boolean> {
  return acting(store, row.id, (id) => store.call("cancel", { generation_ids: [id] }));
}

export function cancelBatch(store: Store, batchId: string): Promise<boolean> {
  return acting(store, batchId, (id) => store.call("cancel", { batch_id: id }));
}

export function runNext(store: Store, row: GenerationRow): Promise<boolean> {
  return acting(store, row.id, (id) => store.call("run_next", { generation_id: id }));
}

export function resolve(
  store: Store,
  row: GenerationRow,
  outcome: "charged" | "not_charged" | "retry",
): Promise<boolean> {
  return attempt(store, () => store.call("resolve", { generation_id: row.id, outcome }));
}

export function remove(
  store: Store,
  entity: "generation" | "batch",
  shownId: string,
): Promise<boolean> {
  return acting(store, shownId, async (id) => {
    await store.call("delete", { entity, id });
    const text = feedText(entity === "batch" ? "act.deleted_batch" : "act.deleted");
    store.undoable(text, () => store.call("restore", { entity, id }).then(() => undefined));
  });
}

export function setCover(store: Store, row: GenerationRow): Promise<boolean> {
  return attempt(store, async () => {
    await store.call("topic.update", { id: row.topic_id, cover_generation_id: row.id });
    store.toast(feedText("act.cover"));
  });
}

/** Where a picture can be made a reference: the chosen model takes some, and they go with the prompts
 *  of this page (where there is no prompt box, they would go nowhere). */
export function referencesFor(store: Store, row: GenerationRow): References | undefined {
  if (row.asset === null || !store.shows("references")) return undefined;
  if (store.hello.value?.widget !== "Workbench") return undefined;
  const references = store.parts.of("settings").value?.referencesOf(store);
  return references && references.most.value > 0 ? references : undefined;
}

/** Whether the lightbox is all that this widget has: no feed, no topics. */
export function aloneOn(store: Store): boolean {
  return store.hello.value?.widget === "Lightbox";
}

/** Opens the topic of a picture, here and in the other widgets of the notebook. */
export function openTopic(store: Store, row: GenerationRow): void {
  store.desk.openTopic(row.topic_id);
  // Nothing of it is to be seen here: it is said where it is.
  if (aloneOn(store)) store.toast(feedText("act.topic_opened"));
}

/** The whole prompt of a batch; rows carry only its beginning. */
export async function wholePrompt(store: Store, batch: BatchRow): Promise<string> {
  if (!hasMore(batch)) return batch.prompt;
  const id = await store.submissions.stored(batch.id);
  return (await store.call<{ prompt: string }>("batch", { id })).prompt;
}

async function copied(
  store: Store,
  text: Promise<string>,
  done: "act.copied_prompt" | "act.copied_python",
  near: HTMLElement | null,
): Promise<void> {
  const well = await copyText(await text, near);
  store.toast(feedText(well ? done : "act.copy_failed"), well ? "info" : "error");
}

export function copyPrompt(store: Store, batch: BatchRow, near: HTMLElement | null): void {
  void attempt(store, () => copied(store, wholePrompt(store, batch), "act.copied_prompt", near));
}

export function copyPython(store: Store, batchId: string, near: HTMLElement | null): void {
  void acting(store, batchId, (id) => {
    const text = store.call<{ text: string }>("python", { batch_id: id });
    return copied(store, text.then((answer) => answer.text), "act.copied_python", near);
  });
}

export function downloadOriginal(store: Store, row: GenerationRow): Promise<boolean> {
  return attempt(store, () => download(store, "original", row.id));
}

export function downloadZip(store: Store, batchId: string): Promise<boolean> {
  return attempt(store, () => download(store, "zip", batchId));
}

// -- settings ---------------------------------------------------------------------------------

const deskNow = (store: Store): { config: typeof store.desk.config.value; draft: string } => ({
  config: store.desk.config.peek(),
  draft: store.desk.draft.peek(),
});

/** What reusing would change, for menus; with the prompt as far as the row carries it. */
export function previewReuse(store: Store, batch: BatchRow): Reuse {
  return reuse(store, batch, batch.prompt);
}

function reuse(store: Store, batch: BatchRow, prompt: string): Reuse {
  return reuseSettings(batch, prompt, deskNow(store), store.models.peek(), (name) => store.shows(name));
}

export function previewSeed(store: Store, row: GenerationRow): Reuse {
  return reuseSeed(row, deskNow(store));
}

function apply(store: Store, wanted: Reuse): void {
  if (wanted.refused !== undefined || wanted.changes.length === 0) {
    store.toast(changesText(wanted));
    return;
  }
  const before = deskNow(store);
  store.desk.set(wanted.config);
  if (wanted.draft !== undefined) store.desk.setDraft(wanted.draft);
  store.undoable(feedText("reuse.done", { changes: changesText(wanted) }), () => {
    store.desk.set(before.config);
    if (wanted.draft !== undefined) store.desk.setDraft(before.draft);
    return Promise.resolve();
  });
}

export function applySettings(store: Store, batch: BatchRow): Promise<boolean> {
  return attempt(store, async () => {
    const draftIsEmpty = store.desk.draft.peek().trim() === "";
    const prompt = draftIsEmpty ? await wholePrompt(store, batch) : batch.prompt;
    apply(store, reuse(store, batch, prompt));
  });
}

export function applySeed(store: Store, row: GenerationRow): void {
  apply(store, reuseSeed(row, deskNow(store)));
}
