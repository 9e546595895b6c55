/** The lightbox: one picture over the whole page, its neighbours a key away. */

import { useSignalEffect } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { fullImage } from "../pictures";
import type { GenerationRow } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts";
import { feedText } from "../texts_feed";
import { attempt } from "../ui/attempt";
import { Icon } from "../ui/icons";
import { LiveRegion, liveOf } from "../ui/live";
import { Toasts } from "../ui/toast";
import { tip } from "../ui/tooltip";
import { downloadOriginal, remove } from "./actions";
import { Filmstrip } from "./filmstrip";
import { FullPictures } from "./full_pictures";
import "./icons";
import type { OpenProps } from "./lightbox_place";
import { Side, useDetails } from "./lightbox_side";
import { Stage, type StageHandle } from "./stage";
import { Walk } from "./walk";
import { clamped } from "./words";

export function OpenLightbox({ store, first, canReuse }: OpenProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const began = useRef(false);
  const close = (): void => {
    store.lightbox.value = null;
  };
  const walk = useMemo(() => {
    const made = new Walk(store, close);
    made.open(first);
    return made;
  }, [store]);
  const pictures = useMemo(
    () => new FullPictures((id, signal) => fullImage(store, id, signal)),
    [store],
  );
  useEffect(
    () => () => {
      walk.dispose();
      pictures.dispose();
    },
    [walk, pictures],
  );

  // Over the whole page, from any cell; what had the focus gets it back from the browser.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element === null) return undefined;
    if (!element.open) element.showModal();
    return () => element.close();
  }, []);
  // On no button at first (all keys work from here), and never lost with a button that went.
  useLayoutEffect(() => {
    const element = dialog.current;
    const inside = element?.contains(document.activeElement) ?? false;
    const box = element?.querySelector<HTMLElement>(".wbx-box");
    if (box && (!began.current || !inside)) box.focus({ preventScroll: true });
    began.current = true;
  });

  // The picture in view is known outside too: the feed gives its card the focus afterwards, and
  // Python may ask for another one.
  useSignalEffect(() => {
    const asked = store.lightbox.value;
    if (asked !== null && asked !== walk.current.peek()) walk.open(asked);
  });
  // At once, and not a frame later as an effect of a component would be: the next key may close it.
  useEffect(
    () =>
      walk.current.subscribe((current) => {
        if (current !== null && store.lightbox.peek() !== null) store.lightbox.value = current;
      }),
    [walk, store],
  );
  useSignalEffect(() => {
    const current = walk.current.value;
    if (current === null) return;
    const ahead = walk.direction === "next" ? "next" : "previous";
    const behind = ahead === "next" ? "previous" : "next";
    const wanted = [current, walk.neighbour(ahead), walk.neighbour(behind), walk.neighbour(ahead, 2)];
    pictures.want(wanted.filter((one): one is string => one !== undefined));
  });

  const current = walk.current.value;
  if (current === null) return null;
  return (
    <dialog
      ref={dialog}
      class="wbx-lightbox"
      data-testid="lightbox"
      data-id={current}
      aria-label={t("lightbox.label")}
      aria-modal="true"
      onKeyDown={(event) => {
        if (event.key === "Tab" && stays(event)) event.preventDefault();
      }}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <Viewer
        store={store}
        walk={walk}
        pictures={pictures}
        id={current}
        canReuse={canReuse}
        close={close}
      />
      {/* What lies outside a modal dialog is neither clicked nor read. */}
      <Toasts store={store} />
      <LiveRegion store={store} />
    </dialog>
  );
}

/** From the last stop of the Tab key on to the first, not out to the browser's own buttons. */
function stays(event: TargetedKeyboardEvent<HTMLDialogElement>): boolean {
  const dialog = event.currentTarget;
  if ((event.target as Element).closest("[popover]")) return false;
  const stops = [...dialog.querySelectorAll<HTMLElement>("button, input, [tabindex='0']")].filter(
    (stop) => stop.tabIndex >= 0 && stop.checkVisibility(),
  );
  const edge = event.shiftKey ? stops[0] : stops.at(-1);
  const other = event.shiftKey ? stops.at(-1) : stops[0];
  const box = dialog.querySelector(".wbx-box");
  if (document.activeElement !== edge && !(event.shiftKey && document.activeElement === box)) {
    return false;
  }
  other?.focus();
  return other !== undefined;
}

interface ViewerProps {
  store: Store;
  walk: Walk;
  pictures: FullPictures;
  id: string;
  canReuse: boolean;
  close(): void;
}

function Viewer({ store, walk, pictures, id, canReuse, close }: ViewerProps) {
  const box = useRef<HTMLDivElement>(null);
  const stage = useRef<StageHandle | null>(null);
  const { details, failed } = useDetails(store, id, walk);
  const row = walk.row(id) ?? details?.row;
  if (row === undefined) {
    return (
      <div class="wbx-box" tabIndex={-1}>
        <div class="wbx-box-empty" role={failed ? "alert" : "status"}>
          <p>{failed ? feedText("box.failed", { reason: failed }) : feedText("box.loading")}</p>
          <button type="button" class="wbx-small" onClick={close}>
            {feedText("box.close")}
          </button>
        </div>
      </div>
    );
  }
  const batch = store.batch(row.batch_id).value ?? details?.batch;
  const alt = clamped(details?.prompt ?? batch?.prompt ?? "") || feedText("batch.no_prompt");
  const place = walk.before.value + walk.place.value + 1;

  const judge = async (values: { rating?: number; favourite?: boolean }): Promise<void> => {
    await attempt(store, async () => {
      const args = { generation_id: row.id, ...values };
      walk.learn((await store.call<{ row: GenerationRow }>("judge", args)).row);
    });
  };
  const rateIt = (rating: number): void => {
    void judge({ rating: rating === row.rating ? 0 : rating });
  };
  const removeIt = async (): Promise<void> => {
    if (await remove(store, "generation", row.id)) walk.forget([row.id]);
  };
  const key = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    if ((event.target as Element).closest("input")) return; // there they are letters
    if (onKey(event)) event.preventDefault();
  };
  const onKey = (event: KeyboardEvent): boolean => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const zoomed = !(stage.current?.isFitted() ?? true);
    switch (event.key) {
      case "ArrowRight":
        void walk.step("next");
        return true;
      case "ArrowLeft":
        void walk.step("previous");
        return true;
      case "Home":
        void walk.edge("previous");
        return true;
      case "End":
        void walk.edge("next");
        return true;
      case "+":
      case "=":
        stage.current?.zoomBy(1.5);
        return true;
      case "-":
        stage.current?.zoomBy(1 / 1.5);
        return true;
      case "0":
        // Zoomed in it fits the picture again; fitted, it takes the rating away.
        if (zoomed) stage.current?.fit();
        else if (row.rating > 0) void judge({ rating: 0 });
        return true;
      case "f":
      case "F":
        void judge({ favourite: !row.favourite });
        return true;
      case "t":
      case "T":
        box.current?.querySelector<HTMLElement>(".wbx-tag-field")?.focus();
        return true;
      case "d":
      case "D":
        void downloadOriginal(store, row);
        return true;
      case "Delete":
        if (row.mine) void removeIt();
        return true;
      default:
        if (!/^[1-5]$/.test(event.key)) return false;
        rateIt(Number(event.key));
        return true;
    }
  };
  return (
    <div ref={box} class="wbx-box" tabIndex={-1} onKeyDown={key}>
      <div class="wbx-box-main">
        <Stage
          store={store}
          row={row}
          pictures={pictures}
          alt={alt}
          handle={stage}
          turn={(direction) => void walk.step(direction)}
          canTurn={(direction) => walk.has(direction)}
        />
        <Turn walk={walk} direction="previous" />
        <Turn walk={walk} direction="next" />
        <div class="wbx-zoom-tools">
          <ZoomTool label={feedText("box.zoom_out")} icon="minus" act={() => stage.current?.zoomBy(1 / 1.5)} hint="−" />
          <ZoomTool label={feedText("box.fit")} icon="fit" act={() => stage.current?.fit()} hint="0" />
          <ZoomTool label={feedText("box.zoom_in")} icon="plus" act={() => stage.current?.zoomBy(1.5)} hint="+" />
        </div>
        <Filmstrip store={store} walk={walk} />
        <Said
          key={id}
          store={store}
          text={feedText("box.shown", { index: place, prompt: clamped(alt, 60) })}
        />
        {walk.error.value === "" ? null : (
          <p class="wbx-box-note" role="alert">
            {walk.error.value}
          </p>
        )}
      </div>
      <Side
        store={store}
        row={row}
        details={details}
        failed={failed}
        canReuse={canReuse}
        onRate={rateIt}
        onFavourite={() => void judge({ favourite: !row.favourite })}
        onRow={(learnt) => walk.learn(learnt)}
        onDelete={() => void removeIt()}
        onClose={close}
      />
    </div>
  );
}

/** Tells once which picture came into view. */
function Said({ store, text }: { store: Store; text: string }) {
  useEffect(() => liveOf(store).say(text), []);
  return null;
}

function Turn({ walk, direction }: { walk: Walk; direction: "next" | "previous" }) {
  const label = feedText(direction === "next" ? "box.next" : "box.previous");
  return (
    <button
      type="button"
      class="wbx-turn"
      data-direction={direction}
      data-testid={direction}
      aria-label={label}
      {...tip(label, direction === "next" ? "→" : "←")}
      // Not `disabled`: the focus would be lost with it, and the keys with the focus.
      aria-disabled={!walk.has(direction)}
      onClick={() => void walk.step(direction)}
    >
      <Icon name={direction === "next" ? "chevron-right" : "chevron-left"} />
    </button>
  );
}

interface ZoomToolProps {
  label: string;
  icon: "minus" | "plus" | "fit";
  hint: string;
  act(): void;
}

function ZoomTool({ label, icon, hint, act }: ZoomToolProps) {
  return (
    <button type="button" class="wbx-tool" aria-label={label} {...tip(label, hint)} onClick={act}>
      <Icon name={icon} />
    </button>
  );
}
