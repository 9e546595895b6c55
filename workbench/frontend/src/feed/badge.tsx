/** The status of one image: icon, words and colour. */

import type { GenerationRow, Status } from "../protocol";
import { feedText, type FeedKey } from "../texts_feed";
import { type IconName, Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import "./icons";
import { outcomeUnknown, percent } from "./words";

type Shown = Status | "unknown";

const ICONS: Readonly<Record<Shown, IconName>> = {
  pending: "clock",
  queued: "layers",
  processing: "loader",
  completed: "check",
  failed: "alert",
  cancelled: "x",
  unknown: "help",
};

export function shownStatus(row: GenerationRow): Shown {
  return outcomeUnknown(row) ? "unknown" : row.status;
}

export function statusText(status: Shown): string {
  return feedText(`status.${status}` as FeedKey);
}

/** The pill in a card's corner. Waiting ones say so in words, running ones in percent; ended ones
 *  show the icon alone, with the words for whoever asks (tooltip, screen reader). */
export function Badge({ row }: { row: GenerationRow }) {
  const status = shownStatus(row);
  const text = statusText(status);
  const quiet = !["pending", "queued", "processing"].includes(status);
  const words = status === "processing" ? `${percent(row)} %` : text;
  return (
    <span class="wbx-badge" data-status={status} {...tip(row.error?.message ?? text)}>
      <Icon name={ICONS[status]} />
      {quiet ? null : (
        <span class="wbx-badge-words" aria-hidden="true">
          {words}
        </span>
      )}
      <span class="wbx-hidden">{text}</span>
    </span>
  );
}
