/** Beside the picture: rating, what it is, how it was made, what can be done with it. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { reasonOf, WorkbenchError } from "../errors";
import type { GenerationDetails, GenerationRow } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import {
  applySeed,
  aloneOn,
  applySettings,
  copyPython,
  downloadOriginal,
  openTopic,
  previewReuse,
  previewSeed,
  referencesFor,
  setCover,
} from "./actions";
import { factsOf } from "./details";
import "./icons";
import { changesText } from "./reuse";
import { Stars } from "./stars";
import { Tags } from "./tags";
import type { Walk } from "./walk";
import { clamped } from "./words";

interface SideProps {
  store: Store;
  row: GenerationRow;
  details: GenerationDetails | null;
  failed: string;
  /** Without a configuration on this page there is nothing to reuse settings in. */
  canReuse: boolean;
  onRate(rating: number): void;
  onFavourite(): void;
  /** Newer knowledge about the row. */
  onRow(row: GenerationRow): void;
  onDelete(): void;
  onClose(): void;
}

export function Side(props: SideProps) {
  const { store, row, details, failed, canReuse, onRate, onFavourite, onRow, onDelete, onClose } = props;
  const batch = store.batch(row.batch_id).value ?? details?.batch;
  const prompt = details?.prompt ?? batch?.prompt ?? "";
  const simple = store.offer.simple.value;
  const facts = factsOf(row, details, store.models.value, simple);
  // A lightbox of its own shows no topic: there it is always a way on.
  const elsewhere = aloneOn(store) || store.desk.topicId.value !== row.topic_id;
  const references = canReuse ? referencesFor(store, row) : undefined;
  const near = (event: Event): HTMLElement => event.currentTarget as HTMLElement;
  return (
    <aside class="wbx-side" aria-label={feedText("box.details")}>
      <div class="wbx-side-top">
        <Stars rating={row.rating} onRate={onRate} />
        <button
          type="button"
          class="wbx-tool"
          data-testid="download"
          aria-label={feedText("card.download")}
          {...tip(feedText("card.download"), "D")}
          onClick={() => void downloadOriginal(store, row)}
        >
          <Icon name="download" />
        </button>
        <button
          type="button"
          class="wbx-tool wbx-side-heart"
          data-testid="favourite"
          aria-pressed={row.favourite}
          aria-label={feedText("card.favourite")}
          {...tip(feedText(row.favourite ? "card.unfavourite" : "card.favourite"), "F")}
          onClick={onFavourite}
        >
          <Icon name="heart" />
        </button>
        <button
          type="button"
          class="wbx-tool"
          data-testid="close"
          aria-label={feedText("box.close")}
          {...tip(feedText("box.close"), t("key.escape"))}
          onClick={onClose}
        >
          <Icon name="x" />
        </button>
      </div>
      <div class="wbx-side-scroll" tabIndex={0} role="group" aria-label={feedText("box.details")}>
        <p class="wbx-side-prompt" dir="auto">
          {prompt || feedText("batch.no_prompt")}
        </p>
        <Tags key={row.id} store={store} row={row} onRow={onRow} />
        <dl class="wbx-facts">
          {facts.map((fact, at) => (
            <div key={at} data-long={fact.long ? "" : undefined}>
              <dt>{fact.name}</dt>
              <dd dir="auto">{fact.value}</dd>
            </div>
          ))}
        </dl>
        {failed === "" ? null : (
          <p class="wbx-side-failed" role="alert">
            {feedText("box.details_failed", { reason: failed })}
          </p>
        )}
        <div class="wbx-side-actions">
          {canReuse && row.seed !== null && store.shows("seed") ? (
            <button
              type="button"
              class="wbx-small"
              data-testid="reuse-seed"
              {...tip(changesText(previewSeed(store, row)))}
              onClick={() => applySeed(store, row)}
            >
              {feedText("box.reuse_seed")}
            </button>
          ) : null}
          {canReuse && batch ? (
            <button
              type="button"
              class="wbx-small"
              data-testid="reuse-settings"
              {...tip(changesText(previewReuse(store, batch)))}
              onClick={() => void applySettings(store, batch)}
            >
              {feedText("box.reuse_settings")}
            </button>
          ) : null}
          {references === undefined ? null : (
            <button
              type="button"
              class="wbx-small"
              data-testid="use-as-reference"
              onClick={() => references.addPicture(row, clamped(prompt, 60))}
            >
              {feedText("card.reference")}
            </button>
          )}
          {simple ? null : (
            <button
              type="button"
              class="wbx-small"
              data-testid="copy-python"
              onClick={(event) => copyPython(store, row.batch_id, near(event))}
            >
              {feedText("box.python")}
            </button>
          )}
          {elsewhere ? (
            <button
              type="button"
              class="wbx-small"
              data-testid="open-topic"
              onClick={() => {
                openTopic(store, row);
                onClose();
              }}
            >
              {feedText("box.topic")}
            </button>
          ) : null}
          {row.mine ? (
            <>
              <button
                type="button"
                class="wbx-small"
                data-testid="set-cover"
                onClick={() => void setCover(store, row)}
              >
                {feedText("box.cover")}
              </button>
              <button
                type="button"
                class="wbx-small wbx-danger"
                data-testid="delete"
                onClick={onDelete}
              >
                {feedText("box.delete")}
              </button>
            </>
          ) : null}
        </div>
        <p class="wbx-side-hint">{feedText("box.hint")}</p>
      </div>
    </aside>
  );
}

/** The details of the picture in view; the last ones stay until the next ones are here. */
export function useDetails(
  store: Store,
  id: string,
  walk: Walk,
): { details: GenerationDetails | null; failed: string } {
  const known = useSignal<{ id: string; details: GenerationDetails } | null>(null);
  const failed = useSignal("");
  useEffect(() => {
    const abort = new AbortController();
    failed.value = "";
    store
      .call<GenerationDetails>("generation", { id }, { signal: abort.signal })
      .then((details) => {
        if (abort.signal.aborted) return;
        known.value = { id, details };
        walk.learn(details.row);
      })
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        // Deleted before it came into view: its neighbour takes its place.
        if (error instanceof WorkbenchError && error.code === "not_found") walk.forget([id]);
        else failed.value = reasonOf(error);
      });
    return () => abort.abort();
  }, [id]);
  return {
    details: known.value?.id === id ? known.value.details : null,
    failed: failed.value,
  };
}
