/** One image of a batch, in each of its six states. The card has its final size from the start. */

import { computed } from "@preact/signals";
import type { TargetedKeyboardEvent, TargetedMouseEvent } from "preact";
import { useMemo, useRef } from "preact/hooks";

import type { BatchRow, GenerationRow } from "../protocol";
import { isLocal } from "../rows";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import {
  cancel,
  downloadOriginal,
  rate,
  remove,
  resolve,
  retry,
  toggleFavourite,
} from "./actions";
import { Badge, shownStatus, statusText } from "./badge";
import { CardMenu } from "./card_menu";
import "./icons";
import { STEPS } from "./navigation";
import { Picture } from "./picture";
import { Progress } from "./progress";
import { cardKey, type FeedState } from "./state";
import { editTags } from "./tagging";
import { ended, outcomeUnknown, percent } from "./words";

interface CardProps {
  state: FeedState;
  blockKey: string;
  batch: BatchRow;
  id: string;
  /** Its place among the cards of the batch; `count` of them. */
  place: number;
  count: number;
  aspect: number;
}

export function Card({ state, blockKey, batch, id, place, count, aspect }: CardProps) {
  const { store } = state;
  const own = cardKey(blockKey, place);
  // Not useComputed: the card stays when its image gets another id (the kernel's, a retry's).
  const isCurrent = useMemo(() => computed(() => state.current.value === own), [state, own]);
  const isSelected = useMemo(() => computed(() => store.desk.selection.value.includes(id)), [store, id]);
  const element = useRef<HTMLDivElement>(null);
  const row = store.generation(id).value;
  if (row === undefined) return <div class="wbx-card" role="listitem" style={{ aspectRatio: `${aspect}` }} />;

  const open = (): void => {
    if (row.status !== "completed") return;
    // For the next cell: `bench.selection`. Who sees no notebook opens, and selects nothing.
    if (!store.offer.simple.peek()) store.desk.select([row.id]);
    store.openLightbox(row.id);
  };
  const toggleSelected = (): void => {
    if (isLocal(id)) return; // Python could not know it
    const now = store.desk.selection.peek();
    store.desk.select(now.includes(id) ? now.filter((other) => other !== id) : [...now, id]);
  };
  const clicked = (event: TargetedMouseEvent<HTMLElement>): void => {
    if (event.defaultPrevented || (event.target as Element).closest("button, a, [role=menu]")) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) toggleSelected();
    else open();
  };
  const key = (event: TargetedKeyboardEvent<HTMLElement>): void => {
    if (event.target !== event.currentTarget) return;
    if (onKey(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  const onKey = (event: KeyboardEvent): boolean => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const direction = STEPS[event.key];
    if (direction !== undefined) {
      state.walk(direction);
      return true;
    }
    if (event.key === "Enter") open();
    else if (event.key === " ") toggleSelected();
    else if (event.key === "Delete" || event.key === "Backspace") {
      // The focus goes to a neighbour before this card goes.
      if (!state.walk("right")) state.walk("left");
      void remove(store, "generation", row.id);
    } else if (event.key === "f" || event.key === "F") void toggleFavourite(store, row);
    else if (row.status === "completed" && (event.key === "t" || event.key === "T")) editTags(store, row);
    else if (row.status === "completed" && /^[0-5]$/.test(event.key)) {
      void rate(store, row, Number(event.key));
    } else return false;
    return true;
  };

  const status = shownStatus(row);
  const values = { index: place + 1, count, status: statusText(status) };
  const label =
    row.seed === null
      ? feedText("card.label", values)
      : feedText("card.label_seed", { ...values, seed: row.seed });
  const busy = !ended(row) && !outcomeUnknown(row);
  const picked = isSelected.value;
  return (
    <div
      ref={element}
      role="listitem"
      class="wbx-card"
      data-testid="generation"
      data-id={row.id}
      data-status={row.status}
      data-shown={status}
      data-progress={percent(row)}
      data-card={own}
      data-selected={picked ? "" : undefined}
      tabIndex={isCurrent.value ? 0 : -1}
      aria-label={picked ? feedText("card.selected", { label }) : label}
      aria-busy={busy}
      style={{ aspectRatio: `${aspect}` }}
      onClick={clicked}
      onKeyDown={key}
      onFocusIn={() => state.focusedCard(blockKey, place)}
    >
      <Picture state={state} row={row} batch={batch} aspect={aspect} near={element} />
      <Badge row={row} />
      {picked ? <span class="wbx-card-picked" aria-hidden="true"><Icon name="check" /></span> : null}
      {busy && row.status === "processing" ? <Progress row={row} index={place + 1} /> : null}
      {status === "unknown" ? <Unknown state={state} row={row} /> : null}
      {status === "failed" ? <Failed state={state} row={row} /> : null}
      {status === "cancelled" ? <Cancelled state={state} row={row} /> : null}
      {busy ? <Waiting state={state} row={row} tab={isCurrent.value} /> : null}
      {status === "completed" ? (
        <>
          <Marks row={row} />
          <Bar state={state} row={row} batch={batch} tab={isCurrent.value} />
        </>
      ) : (
        <div class="wbx-card-corner">
          <CardMenu state={state} row={row} batch={batch} tab={isCurrent.value} />
        </div>
      )}
    </div>
  );
}

interface PartProps {
  state: FeedState;
  row: GenerationRow;
}

/** What a waiting one waits for, and the way out. */
function Waiting({ state, row, tab }: PartProps & { tab: boolean }) {
  const detail = row.status === "processing" || row.detail_key === "step" ? "" : row.detail;
  return (
    <>
      {detail ? <p class="wbx-card-note">{detail}</p> : null}
      {row.mine ? (
        <button
          type="button"
          class="wbx-over wbx-card-cancel"
          data-testid="cancel"
          tabIndex={tab ? 0 : -1}
          aria-label={feedText("card.cancel")}
          {...tip(feedText("card.cancel"))}
          onClick={() => void cancel(state.store, row)}
        >
          <Icon name="x" />
        </button>
      ) : null}
    </>
  );
}

function Failed({ state, row }: PartProps) {
  const message = row.error?.message ?? statusText("failed");
  const charged = row.error?.charged ?? false;
  return (
    <div class="wbx-card-message" data-testid="error">
      <p class="wbx-card-error" {...tip(message)} dir="auto">
        {message}
      </p>
      <p>{feedText(charged ? "card.charged" : "card.not_charged")}</p>
      {row.mine ? (
        <button
          type="button"
          class="wbx-small"
          data-testid="retry"
          onClick={() => void retry(state.store, row)}
        >
          <Icon name="refresh" />
          {feedText("card.retry")}
        </button>
      ) : null}
    </div>
  );
}

function Cancelled({ state, row }: PartProps) {
  return (
    <div class="wbx-card-message">
      <p>{feedText("card.cancelled")}</p>
      {row.mine ? (
        <button
          type="button"
          class="wbx-small"
          data-testid="retry"
          onClick={() => void retry(state.store, row)}
        >
          <Icon name="refresh" />
          {feedText("card.retry")}
        </button>
      ) : null}
    </div>
  );
}

/** Whether a paid call was made is not known: a person settles it. */
function Unknown({ state, row }: PartProps) {
  return (
    <div class="wbx-card-message" data-testid="error">
      <p class="wbx-card-warn" {...tip(feedText("card.unknown_hint"))}>
        {feedText("status.unknown")}
      </p>
      <p class="wbx-card-hint">{feedText("card.unknown_hint")}</p>
      {row.mine ? (
        <div class="wbx-card-choice">
          <button
            type="button"
            class="wbx-small"
            data-testid="resolve-charged"
            onClick={() => void resolve(state.store, row, "charged")}
          >
            {feedText("card.unknown_charged")}
          </button>
          <button
            type="button"
            class="wbx-small"
            data-testid="retry"
            onClick={() => void resolve(state.store, row, "retry")}
          >
            {feedText("card.unknown_retry")}
          </button>
        </div>
      ) : null}
    </div>
  );
}

/** What somebody thought of it; stays to be seen. */
function Marks({ row }: { row: GenerationRow }) {
  const count = row.tags.length;
  if (!row.favourite && row.rating === 0 && count === 0) return null;
  const tags = feedText("card.tags", { count, tags: row.tags.join(", ") });
  return (
    <span class="wbx-card-marks">
      {row.favourite ? (
        <span class="wbx-mark-heart" role="img" aria-label={feedText("card.favourite")}>
          <Icon name="heart" />
        </span>
      ) : null}
      {row.rating > 0 ? (
        <span class="wbx-mark-stars" role="img" aria-label={feedText("card.rate_n", { count: row.rating })}>
          {row.rating}
          <Icon name="star" />
        </span>
      ) : null}
      {count > 0 ? (
        <span class="wbx-mark-tags" role="img" aria-label={tags} data-testid="tag-mark" {...tip(tags)}>
          <Icon name="tag" />
          {count > 1 ? count : null}
        </span>
      ) : null}
    </span>
  );
}

/** Over a finished picture, while it is pointed at or has the focus. */
function Bar({ state, row, batch, tab }: PartProps & { batch: BatchRow; tab: boolean }) {
  const { store } = state;
  const stop = tab ? 0 : -1;
  const heart = feedText(row.favourite ? "card.unfavourite" : "card.favourite");
  return (
    <div class="wbx-card-bar">
      <span class="wbx-card-seed">
        {row.seed === null ? "" : feedText("card.seed", { seed: row.seed })}
      </span>
      <button
        type="button"
        class="wbx-over wbx-card-heart"
        data-testid="favourite"
        aria-pressed={row.favourite}
        aria-label={feedText("card.favourite")}
        {...tip(heart, "F")}
        tabIndex={stop}
        onClick={() => void toggleFavourite(store, row)}
      >
        <Icon name="heart" />
      </button>
      <button
        type="button"
        class="wbx-over"
        data-testid="download"
        aria-label={feedText("card.download")}
        {...tip(feedText("card.download"))}
        tabIndex={stop}
        onClick={() => void downloadOriginal(store, row)}
      >
        <Icon name="download" />
      </button>
      <CardMenu state={state} row={row} batch={batch} tab={tab} />
    </div>
  );
}
