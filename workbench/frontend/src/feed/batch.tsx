/** One batch of the feed: its header, its cards, and above the first of a section the heading. */

import { computed, useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { reasonOf } from "../errors";
import { useThumb } from "../pictures";
import type { BatchRow, GenerationRow } from "../protocol";
import { feedText } from "../texts_feed";
import { applySettings, downloadZip, wholePrompt } from "./actions";
import { BatchMenu } from "./card_menu";
import type { Section } from "./blocks";
import { Card } from "./card";
import { Guard } from "./guard";
import "./icons";
import { aspectOf } from "./layout";
import { ratioText } from "./ratio";
import type { FeedState } from "./state";
import {
  ago,
  batchDuration,
  clamped,
  cost,
  duration,
  ended,
  hasMore,
  modelTitle,
  moment,
  secondsLeft,
  shapeOf,
  size,
} from "./words";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";

interface BatchProps {
  state: FeedState;
  blockKey: string;
  id: string;
  section: Section;
  lead: boolean;
  /** Place in the feed, for screen readers; from 0. */
  place: number;
}

export function Batch({ state, blockKey, id, section, lead, place }: BatchProps) {
  const { store } = state;
  const element = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const entered = setTimeout(() => state.entering.delete(blockKey), 600);
    const stop = element.current ? state.scroller.watch(blockKey, element.current) : undefined;
    return () => {
      clearTimeout(entered);
      state.entering.delete(blockKey);
      stop?.();
    };
  }, [blockKey]);
  const pulsing = useComputed(() => state.pulsing.value === blockKey);
  const row = store.batch(id).value;
  return (
    <article
      ref={element}
      class="wbx-batch"
      data-key={blockKey}
      data-batch={id}
      data-section={section}
      data-lead={lead ? "" : undefined}
      data-pulse={pulsing.value ? "" : undefined}
      data-entering={state.entering.has(blockKey) ? "" : undefined}
      aria-posinset={place + 1}
      aria-setsize={store.feed.hasOlder.value ? -1 : state.blocks.value.length}
      aria-label={feedText("batch.label", {
        prompt: clamped(row?.prompt ?? "", 80) || feedText("batch.no_prompt"),
      })}
    >
      {lead ? <SectionHeading state={state} section={section} /> : null}
      {row ? (
        <Guard chance={row} role="group">
          <Header state={state} blockKey={blockKey} row={row} />
          <Cards state={state} blockKey={blockKey} row={row} />
        </Guard>
      ) : null}
    </article>
  );
}

function SectionHeading({ state, section }: { state: FeedState; section: Section }) {
  const { store } = state;
  const counts = useComputed(() => {
    let running = 0;
    let waiting = 0;
    let unknown = 0;
    if (section !== "active") return { running, waiting, unknown };
    for (const batch of store.feed.active.value) {
      for (const id of store.latest(batch).value) {
        const row = store.generation(id).value;
        if (row === undefined || ended(row)) continue;
        if (row.detail_key === "outcome_unknown") unknown += 1;
        else if (row.status === "processing") running += 1;
        else waiting += 1;
      }
    }
    return { running, waiting, unknown };
  });
  const { running, waiting, unknown } = counts.value;
  const ahead = store.queue.value.ahead ?? 0;
  const parts = [
    waiting > 0 && ahead > 0 ? feedText("feed.ahead", { count: ahead }) : "",
    running > 0 ? feedText("feed.running", { count: running }) : "",
    waiting > 0 ? feedText("feed.waiting", { count: waiting }) : "",
    unknown > 0 ? feedText("feed.unknown", { count: unknown }) : "",
  ].filter((part) => part !== "");
  return (
    <h3 class="wbx-section" data-section={section}>
      {feedText(section === "active" ? "feed.active" : "feed.history")}
      {parts.length > 0 ? <span> {parts.join(" · ")}</span> : null}
    </h3>
  );
}

interface PartProps {
  state: FeedState;
  blockKey: string;
  row: BatchRow;
}

/** The latest generations of a batch, by index. */
function rowsOf(state: FeedState, batchId: string): GenerationRow[] {
  const { store } = state;
  const rows = store.latest(batchId).value.map((id) => store.generation(id).value);
  return rows.filter((row): row is GenerationRow => row !== undefined);
}

function Header({ state, blockKey, row }: PartProps) {
  const { store } = state;
  // The id of a batch that was just asked for changes once.
  const finished = useMemo(
    () => computed(() => rowsOf(state, row.id).some((one) => one.status === "completed")),
    [state, row.id],
  ).value;
  return (
    <header class="wbx-batch-head">
      <div class="wbx-batch-text">
        <Prompt state={state} row={row} />
        <div class="wbx-batch-line">
          <Meta state={state} row={row} />
          <div class="wbx-batch-tools">
            {finished ? (
              <button
                type="button"
                class="wbx-tool"
                data-testid="download-zip"
                aria-label={feedText("batch.download_zip")}
                {...tip(feedText("batch.download_zip"))}
                onClick={() => void downloadZip(store, row.id)}
              >
                <Icon name="archive" />
              </button>
            ) : null}
            <button
              type="button"
              class="wbx-tool"
              data-testid="reuse-settings"
              aria-label={feedText("batch.reuse_settings")}
              {...tip(feedText("batch.reuse_settings"))}
              onClick={() => void applySettings(store, row)}
            >
              <Icon name="reuse" />
            </button>
            <BatchMenu state={state} batch={row} />
          </div>
        </div>
      </div>
      <RailThumb state={state} blockKey={blockKey} row={row} />
    </header>
  );
}

function Prompt({ state, row }: { state: FeedState; row: BatchRow }) {
  const { store } = state;
  const text = useRef<HTMLParagraphElement>(null);
  const open = useSignal(false);
  const whole = useSignal<string | null>(null);
  const clipped = useSignal(false);
  const width = state.sheet.value.textWidth;
  useLayoutEffect(() => {
    const element = text.current;
    if (element === null || open.value) return;
    clipped.value = hasMore(row) || element.scrollHeight > element.clientHeight + 2;
  }, [row.prompt, width, open.value]);

  const toggle = async (): Promise<void> => {
    if (!open.value && whole.value === null && hasMore(row)) {
      try {
        whole.value = await wholePrompt(store, row);
      } catch (error) {
        store.toast(feedText("batch.more_failed", { reason: reasonOf(error) }), "error");
        return;
      }
    }
    open.value = !open.value;
  };
  const shown = open.value ? (whole.value ?? row.prompt) : row.prompt;
  return (
    <div class="wbx-prompt" data-open={open.value ? "" : undefined}>
      <p ref={text} dir="auto">
        {shown.trim() || feedText(row.operation === "import" ? "batch.imported" : "batch.no_prompt")}
      </p>
      {clipped.value ? (
        <button type="button" class="wbx-more" aria-expanded={open.value} onClick={() => void toggle()}>
          {feedText(open.value ? "batch.less" : "batch.more")}
        </button>
      ) : null}
    </div>
  );
}

function Meta({ state, row }: { state: FeedState; row: BatchRow }) {
  const { store } = state;
  const rows = rowsOf(state, row.id);
  const took = batchDuration(rows);
  const running = rows.some((one) => !ended(one));
  // Nothing is finished while the disk is full, however long it takes.
  const left = running && !store.notices.value.has("disk_full") ? secondsLeft(rows, store.time()) : null;
  const shape = shapeOf(row, rows);
  const price = cost(rows);
  const what = [modelTitle(row.model, store.models.value), ...(shape ? [size(...shape), ratioText(...shape)] : [])];
  const how = [
    feedText("batch.count", { count: rows.length || row.n }),
    { text: ago(row.created_at, store.now.value), title: moment(row.created_at) },
    took === null ? "" : duration(took),
    running ? "" : price,
  ];
  return (
    <p class="wbx-meta">
      <Facts of={what} />
      <Facts of={how} last={left === null ? "" : leftText(left)} />
    </p>
  );
}

/** What follows one another on a line; where there is little room each of them has its own. */
function Facts({ of, last = "" }: { of: readonly (string | { text: string; title: string })[]; last?: string }) {
  const told = of.filter((fact) => fact !== "");
  if (told.length === 0) return null;
  return (
    <span class="wbx-meta-facts">
      {told.map((fact, at) =>
        typeof fact === "string" ? <span key={at}>{fact}</span> : <span key={at} title={fact.title}>{fact.text}</span>,
      )}
      {last === "" ? null : <span class="wbx-meta-left">{last}</span>}
    </span>
  );
}

function leftText({ from, to }: { from: number; to: number }): string {
  if (to <= 120) return feedText("batch.left", { range: `${from}–${to}` });
  const low = Math.max(1, Math.floor(from / 60));
  const high = Math.max(low + 1, Math.ceil(to / 60));
  return feedText("batch.left_minutes", { range: `${low}–${high}` });
}

/** The small picture at the right edge: the first finished image, and the way to the batch. */
function RailThumb({ state, blockKey, row }: PartProps) {
  // Not useComputed: it would go on with the id that the row had before the kernel gave it one.
  const first = useMemo(
    () => computed(() => rowsOf(state, row.id).find((one) => one.status === "completed" && one.asset !== null)?.id),
    [state, row.id],
  );
  const generation = first.value ? state.store.generation(first.value).value : undefined;
  const button = useRef<HTMLButtonElement>(null);
  const { url } = useThumb(state.store, generation, 256, button);
  return (
    <button
      ref={button}
      type="button"
      class="wbx-rail"
      aria-label={feedText("batch.thumb")}
      {...tip(feedText("batch.thumb"))}
      onClick={() => state.reveal(blockKey)}
    >
      {url ? <img src={url} alt="" decoding="async" draggable={false} /> : null}
    </button>
  );
}

function Cards({ state, blockKey, row }: PartProps) {
  const ids = state.store.latest(row.id).value;
  const first = ids[0] === undefined ? undefined : state.store.generation(ids[0]).value;
  const imported = row.operation === "import" ? first?.asset : null;
  const aspect = aspectOf(row.width ?? imported?.width ?? null, row.height ?? imported?.height ?? null);
  const { columns } = state.sheet.value;
  return (
    <div
      class="wbx-grid"
      role="list"
      aria-label={feedText("batch.images")}
      style={{ "--wbx-columns": `${columns}` }}
    >
      {ids.map((id, place) => (
        <Guard
          key={state.store.generation(id).peek()?.index ?? id}
          chance={id}
          watch={() => state.store.generation(id).value}
          role="listitem"
          class="wbx-card"
        >
          <Card
            state={state}
            blockKey={blockKey}
            batch={row}
            id={id}
            place={place}
            count={ids.length}
            aspect={aspect}
          />
        </Guard>
      ))}
    </div>
  );
}
