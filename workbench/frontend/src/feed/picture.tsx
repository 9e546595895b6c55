/** The layers of a card: shimmer, live preview (blurred, sharper with the progress), and the
 *  picture, which fades in over them. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { usePreview, useThumb } from "../pictures";
import type { BatchRow, GenerationRow } from "../protocol";
import { feedText } from "../texts_feed";
import { thumbSize } from "./layout";
import type { FeedState } from "./state";
import { clamped, ended, outcomeUnknown } from "./words";

interface PictureProps {
  state: FeedState;
  row: GenerationRow;
  batch: BatchRow;
  aspect: number;
  /** The card: what is in view is fetched first. */
  near: { current: Element | null };
}

export function Picture({ state, row, batch, aspect, near }: PictureProps) {
  const covered = useSignal(false);
  const done = row.status === "completed";
  const busy = !ended(row) && !outcomeUnknown(row);
  // Previews are for who sees the picture being made: one that was done before comes as it is.
  const watched = useRef(busy);
  if (busy) watched.current = true;
  const live = row.preview > 0 && (busy || (done && watched.current && !covered.value));
  return (
    <>
      {busy || (done && !covered.value) ? (
        <div class="wbx-shimmer" data-still={done || live ? "" : undefined} />
      ) : null}
      {live ? <Preview state={state} row={row} /> : null}
      {done ? (
        <Finished
          key={row.id}
          state={state}
          row={row}
          batch={batch}
          aspect={aspect}
          near={near}
          over={live}
          onCovered={() => (covered.value = true)}
        />
      ) : null}
    </>
  );
}

/** From very blurred to nearly sharp. */
function Preview({ state, row }: { state: FeedState; row: GenerationRow }) {
  const { url } = usePreview(state.store, row);
  const last = useRef<string | null>(null);
  if (url) last.current = url;
  if (last.current === null) return null;
  const blur = row.status === "completed" ? 0 : 1 + 9 * (1 - row.progress) ** 1.5;
  return (
    <img
      class="wbx-preview"
      src={last.current}
      alt=""
      decoding="async"
      draggable={false}
      style={{ filter: blur > 0 ? `blur(${blur.toFixed(1)}px)` : "none" }}
    />
  );
}

interface FinishedProps extends PictureProps {
  over: boolean;
  onCovered(): void;
}

function Finished({ state, row, batch, aspect, near, over, onCovered }: FinishedProps) {
  const sheet = state.sheet.value;
  const density = globalThis.devicePixelRatio || 1;
  const { url, state: loading } = useThumb(
    state.store,
    row,
    thumbSize(sheet.cardWidth, aspect, density),
    near,
  );
  const shown = useSignal(false);
  const undecodable = useSignal<string | null>(null); // the address of what is no picture
  // What is in the memory already (scrolled back to) shows at once; only what was waited for fades.
  const waited = useRef(url === null || url === undefined);
  useEffect(() => {
    if (!shown.value) return undefined;
    const timer = setTimeout(onCovered, 200);
    return () => clearTimeout(timer);
  }, [shown.value]);
  if (loading === "error" || row.asset === null || (url && undecodable.value === url)) {
    return (
      <p class="wbx-card-missing" data-testid="error">
        {feedText(row.asset === null ? "card.no_picture" : "card.picture_failed")}
      </p>
    );
  }
  if (!url) return null;
  return (
    <img
      class="wbx-thumb"
      data-testid="thumb"
      data-fade={waited.current || over ? "" : undefined}
      data-shown={shown.value ? "" : undefined}
      src={url}
      alt={clamped(batch.prompt) || feedText("batch.no_prompt")}
      decoding={waited.current ? "async" : "sync"}
      draggable={false}
      onLoad={() => (shown.value = true)}
      onError={() => (undecodable.value = url)}
    />
  );
}
