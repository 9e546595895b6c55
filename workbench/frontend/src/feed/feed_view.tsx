/** The live feed of a topic: sections Active and History, windowed, paged both ways. */

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import { announce } from "./announce";
import { Batch } from "./batch";
import type { Block } from "./blocks";
import { Empty, EndMark, FeedFailed } from "./edges";
import { Guard } from "./guard";
import "./icons";
import { factLines } from "./layout";
import { type FeedProps, Skeleton } from "./skeleton";
import { FeedState } from "./state";


export function FeedView({ store, withPrompt = true }: FeedProps) {
  const state = useMemo(() => new FeedState(store), [store]);
  const root = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => () => state.dispose(), [state]);
  useEffect(() => announce(store), [store]);
  useLayoutEffect(() => {
    if (!root.current || !scroller.current || !list.current) return undefined;
    return state.attach(root.current, scroller.current, list.current);
  }, [state]);

  useFocusAfterLightbox(store, state);

  const phase = phaseOf(store);
  // Its title is above it already: what is still shown of the one before is not to be acted upon.
  const switching = store.feed.switching.value;
  return (
    <div class="wbx-feed" ref={root} inert={switching} data-switching={switching ? "" : undefined}>
      <div
        class="wbx-feed-scroll"
        ref={scroller}
        data-testid="feed"
        data-phase={phase}
        style={{ "--wbx-columns": `${state.sheet.value.columns}` }}
        data-columns={state.sheet.value.columns}
        data-facts={factLines(state.sheet.value.textWidth)}
        onPointerEnter={() => state.pointing(true)}
        onPointerMove={() => state.pointing(true)}
        onPointerLeave={() => state.pointing(false)}
        onFocusOut={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget as Node | null)) state.left();
        }}
      >
        <div
          class="wbx-feed-list"
          ref={list}
          role={phase === "ready" ? "feed" : undefined}
          aria-label={phase === "ready" ? feedText("feed.label") : undefined}
          aria-busy={phase === "ready" ? store.feed.loadingOlder.value || store.feed.loadingNewer.value : undefined}
        >
          {phase === "ready" ? <Blocks state={state} /> : null}
        </div>
        {phase === "ready" ? <EndMark state={state} /> : null}
        {phase === "loading" ? <Skeleton columns={state.sheet.value.columns} /> : null}
        {phase === "error" ? <FeedFailed store={store} /> : null}
        {phase === "empty" ? <Empty store={store} withPrompt={withPrompt} /> : null}
      </div>
      {phase === "ready" ? <Pill state={state} /> : null}
    </div>
  );
}

type Phase = "loading" | "error" | "empty" | "ready";

function phaseOf(store: Store): Phase {
  const { feed } = store;
  if (feed.active.value.length + feed.history.value.length > 0) return "ready";
  if (store.hello.value === null || feed.state.value === "loading") return "loading";
  return feed.state.value === "error" ? "error" : "empty";
}

/** When the lightbox closes, the card of the last picture gets the focus, in the view where it is. */
function useFocusAfterLightbox(store: Store, state: FeedState): void {
  useEffect(() => {
    let last: string | null = null;
    return store.lightbox.subscribe((now) => {
      const before = last;
      last = now;
      // The dialog gives the focus back to what had it before; afterwards it is ours to move.
      if (now === null && before !== null) {
        requestAnimationFrame(() => {
          if (state.hasFocus()) state.focusGeneration(before);
        });
      }
    });
  }, [store, state]);
}

function Blocks({ state }: { state: FeedState }) {
  const shown = state.scroller.shown.value;
  const blocks = state.blocks.value;
  useLayoutEffect(() => state.scroller.committed());
  return (
    <>
      {shown.map((piece) => {
        if ("gap" in piece) {
          const before = blocks[piece.after];
          return (
            <div
              key={`gap after ${before?.key ?? ""}`}
              class="wbx-gap"
              role="presentation"
              style={{ height: `${piece.gap}px` }}
            />
          );
        }
        const block = blocks[piece.block] as Block | undefined;
        if (block === undefined) return null;
        return (
          <Guard key={block.key} chance={block.id} role="article" class="wbx-batch">
            <Batch
              state={state}
              blockKey={block.key}
              id={block.id}
              section={block.section}
              lead={block.lead}
              place={piece.block}
            />
          </Guard>
        );
      })}
    </>
  );
}

/** Floats above the feed: what arrived, and the way back to the newest. */
function Pill({ state }: { state: FeedState }) {
  const { feed } = state.store;
  const count = feed.fresh.value + state.scroller.arrived.value;
  const away = !state.scroller.atTop.value || feed.hasNewer.value;
  if (!away) return null;
  if (count > 0) {
    return (
      <button type="button" class="wbx-pill" data-testid="new-pill" onClick={() => void state.toNewest()}>
        <Icon name="arrow-up" />
        {feedText("feed.new_one", { count })}
      </button>
    );
  }
  if (!state.scroller.far.value && !feed.hasNewer.value) return null;
  return (
    <button
      type="button"
      class="wbx-to-top"
      data-testid="to-top"
      aria-label={feedText("feed.to_top")}
      {...tip(feedText("feed.to_top"))}
      onClick={() => void state.toNewest()}
    >
      <Icon name="arrow-up" />
    </button>
  );
}
