/** The entries of the two menus of the feed: of an image and of a batch. */

import type { BatchRow, GenerationRow } from "../protocol";
import { t } from "../texts";
import { feedText } from "../texts_feed";
import type { MenuEntry } from "../ui/menu";
import {
  applySeed,
  applySettings,
  cancel,
  cancelBatch,
  copyPrompt,
  copyPython,
  downloadOriginal,
  downloadZip,
  judge,
  previewReuse,
  previewSeed,
  referencesFor,
  remove,
  retry,
  retryFailed,
  runNext,
  setCover,
} from "./actions";
import "./icons";
import { changesText } from "./reuse";
import type { FeedState } from "./state";
import { editTags } from "./tagging";
import { clamped, ended, outcomeUnknown } from "./words";

/** Without a configuration on the page (a feed of its own) there is nothing to reuse settings in. */
export function imageEntries(
  state: FeedState,
  row: GenerationRow,
  batch: BatchRow,
  near: HTMLElement | null,
): MenuEntry[] {
  const { store } = state;
  const done = row.status === "completed";
  const references = done ? referencesFor(store, row) : undefined;
  const over = ended(row);
  const entries: (MenuEntry | false)[] = [
    done && {
      icon: "fit",
      label: feedText("card.open"),
      shortcut: t("key.enter"),
      testid: "open",
      act: () => store.openLightbox(row.id),
    },
    done && {
      icon: "download",
      label: feedText("card.download"),
      testid: "download-menu",
      act: () => void downloadOriginal(store, row),
    },
    over && !done && row.mine && {
      icon: "refresh",
      label: feedText("card.retry"),
      testid: "retry-menu",
      act: () => void retry(store, row),
    },
    (row.status === "queued" || row.status === "pending") && row.mine && {
      icon: "next",
      label: feedText("card.run_next"),
      testid: "run-next",
      act: () => void runNext(store, row),
    },
    !over && !outcomeUnknown(row) && row.mine && {
      icon: "x",
      label: feedText("card.cancel"),
      testid: "cancel-menu",
      act: () => void cancel(store, row),
    },
    "separator",
    row.seed !== null && store.shows("seed") && {
      icon: "dice",
      label: feedText("card.reuse_seed"),
      hint: changesText(previewSeed(store, row)),
      testid: "reuse-seed",
      act: () => applySeed(store, row),
    },
    reuseEntry(state, batch, "reuse-settings"),
    references !== undefined && {
      icon: "image",
      label: feedText("card.reference"),
      testid: "use-as-reference",
      act: () => references.addPicture(row, clamped(batch.prompt, 60)),
    },
    {
      icon: "copy",
      label: feedText("card.copy_prompt"),
      testid: "copy-prompt",
      act: () => copyPrompt(store, batch, near),
    },
    "separator",
    done && {
      icon: "star",
      label: feedText("card.rate"),
      testid: "rate",
      items: () => ratingEntries(state, row),
    },
    done && {
      icon: "tag",
      label: feedText("card.tag"),
      shortcut: "T",
      testid: "edit-tags",
      act: () => editTags(store, row),
    },
    done && row.mine && {
      icon: "cover",
      label: feedText("card.cover"),
      testid: "set-cover",
      act: () => void setCover(store, row),
    },
    row.mine && {
      icon: "trash",
      label: feedText("card.delete"),
      shortcut: t("key.delete"),
      danger: true,
      testid: "delete",
      act: () => void remove(store, "generation", row.id),
    },
  ];
  return tidy(entries);
}

export function batchEntries(
  state: FeedState,
  batch: BatchRow,
  near: HTMLElement | null,
): MenuEntry[] {
  const { store } = state;
  const rows = store
    .latest(batch.id)
    .peek()
    .map((id) => store.generation(id).peek())
    .filter((row): row is GenerationRow => row !== undefined);
  const failed = rows.filter((row) => row.status === "failed").length;
  const running = rows.some((row) => !ended(row) && !outcomeUnknown(row));
  const finished = rows.some((row) => row.status === "completed");
  const entries: (MenuEntry | false)[] = [
    finished && {
      icon: "archive",
      label: feedText("batch.download_zip"),
      testid: "download-zip-menu",
      act: () => void downloadZip(store, batch.id),
    },
    reuseEntry(state, batch, "reuse-settings-menu"),
    failed > 0 && batch.mine && {
      icon: "refresh",
      label: feedText("batch.retry_failed", { count: failed }),
      testid: "retry-failed",
      act: () => void retryFailed(store, batch.id),
    },
    // A simple page is for people who do not code.
    !store.offer.simple.value && {
      icon: "code",
      label: feedText("batch.python"),
      testid: "copy-python",
      act: () => copyPython(store, batch.id, near),
    },
    {
      icon: "copy",
      label: feedText("batch.copy_prompt"),
      testid: "copy-prompt",
      act: () => copyPrompt(store, batch, near),
    },
    "separator",
    running && batch.mine && {
      icon: "x",
      label: feedText("batch.cancel"),
      testid: "cancel-batch",
      act: () => void cancelBatch(store, batch.id),
    },
    batch.mine && {
      icon: "trash",
      label: feedText("batch.delete"),
      danger: true,
      testid: "delete",
      act: () => void remove(store, "batch", batch.id),
    },
  ];
  return tidy(entries);
}

function ratingEntries({ store }: FeedState, row: GenerationRow): MenuEntry[] {
  return [5, 4, 3, 2, 1, 0].map((stars) => ({
    label: stars === 0 ? feedText("card.rate_0") : "★".repeat(stars) + "☆".repeat(5 - stars),
    shortcut: String(stars),
    checked: stars === row.rating,
    testid: `rate-${stars}`,
    act: () => void judge(store, row, { rating: stars }),
  }));
}

/** Says what will change before it does. */
function reuseEntry(state: FeedState, batch: BatchRow, testid: string): MenuEntry | false {
  if (batch.model === null) return false;
  const reuse = previewReuse(state.store, batch);
  return {
    icon: "reuse",
    label: feedText("batch.reuse_settings"),
    hint: changesText(reuse),
    disabled: reuse.refused !== undefined,
    testid,
    act: () => void applySettings(state.store, batch),
  };
}

/** Without what does not apply, and without lines at the ends or beside one another. */
function tidy(entries: readonly (MenuEntry | false)[]): MenuEntry[] {
  const result: MenuEntry[] = [];
  for (const entry of entries) {
    if (entry === false) continue;
    if (entry === "separator" && (result.length === 0 || result[result.length - 1] === "separator")) continue;
    result.push(entry);
  }
  if (result[result.length - 1] === "separator") result.pop();
  return result;
}
